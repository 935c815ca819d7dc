import { startApiProcess } from '../test/support/api-process.ts';
import { rateOf } from './support/rate.ts';

// Durable ConfigMap writes through the whole server, over HTTPS.

const CLIENTS = [1, 16, 256, 1000];
const SECONDS = 4;
const PATH = '/api/v1/namespaces/default/configmaps';
const data = { text: 'x'.repeat(1000) };

const server = await startApiProcess();
console.log('clients   creates/s  p99 ms  errors   updates/s  p99 ms  errors   gets/s');
for (const clients of CLIENTS) {
  const names = Array.from({ length: clients }, (_, c) => `own-${clients}-${c}`);
  await Promise.all(names.map((name) => server.send('POST', PATH, { metadata: { name }, data })));
  const creates = await rateOf(clients, SECONDS, async (client, n) => {
    const metadata = { name: `c-${clients}-${client}-${n}` };
    return (await server.send('POST', PATH, { metadata, data })).status === 201;
  });
  const updates = await rateOf(clients, SECONDS, async (client, n) => {
    const metadata = { name: names[client], labels: { n: String(n) } };
    return (
      (await server.send('PUT', `${PATH}/${names[client]}`, { metadata, data })).status === 200
    );
  });
  const gets = await rateOf(clients, SECONDS, async (client) => {
    return (await server.send('GET', `${PATH}/${names[client]}`)).status === 200;
  });
  console.log(
    [
      String(clients).padStart(7),
      creates.perSecond.toFixed(0).padStart(12),
      creates.p99.toFixed(1).padStart(8),
      String(creates.errors).padStart(8),
      updates.perSecond.toFixed(0).padStart(12),
      updates.p99.toFixed(1).padStart(8),
      String(updates.errors).padStart(8),
      gets.perSecond.toFixed(0).padStart(9),
    ].join(''),
  );
}
await server.stop();
