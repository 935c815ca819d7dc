import { describeUsage, startBenchServer } from './support/bench-server.ts';
import type { LeanClient } from './support/lean-client.ts';
import { rateOf } from './support/rate.ts';
import { printer } from './support/table.ts';

// Durable ConfigMap writes through the whole server, over HTTPS, each client with a connection of its own. Beside it,
// GETs of the same objects: what the way through the server costs without a write. Connections are made before.

const CLIENTS = (process.argv[2] ?? '1,16,256,1000').split(',').map(Number);
const SECONDS = 4;
const PATH = '/api/v1/namespaces/default/configmaps';
const data = { text: 'x'.repeat(1000) };

const server = await startBenchServer();
const print = printer([
  'clients',
  'creates/s',
  'p99 ms',
  'errors',
  'updates/s',
  'p99 ms',
  'errors',
  'gets/s',
  'CPU ms/write',
]);
const lines: string[] = [];
await server.usage();
for (const clients of CLIENTS) {
  const connections: LeanClient[] = [];
  const began = performance.now();
  for (let i = 0; i < clients; i += 50) {
    const some = Array.from({ length: Math.min(50, clients - i) }, () => server.connect());
    connections.push(...(await Promise.all(some)));
  }
  const each = (performance.now() - began) / clients;
  const greeting = await server.usage();
  const cost = `${each.toFixed(1)} ms, ${((greeting.cpuSeconds * 1000) / clients).toFixed(1)} ms of CPU`;
  lines.push(`${clients} TLS handshakes: each ${cost}; ${describeUsage(greeting)}`);
  const send = async (client: number, method: string, path: string, body?: object) =>
    (await connections[client]?.request(method, path, body ? JSON.stringify(body) : ''))?.status;
  const names = Array.from({ length: clients }, (_, c) => `own-${clients}-${c}`);
  await Promise.all(names.map((name, c) => send(c, 'POST', PATH, { metadata: { name }, data })));
  await server.usage();
  const creates = await rateOf(clients, SECONDS, async (client, n) => {
    const metadata = { name: `c-${clients}-${client}-${n}` };
    return (await send(client, 'POST', PATH, { metadata, data })) === 201;
  });
  const updates = await rateOf(clients, SECONDS, async (client, n) => {
    const metadata = { name: names[client], labels: { n: String(n) } };
    return (await send(client, 'PUT', `${PATH}/${names[client]}`, { metadata, data })) === 200;
  });
  const usage = await server.usage();
  const perWrite = (usage.cpuSeconds * 1000) / (creates.done + updates.done);
  lines.push(`${clients} clients: ${describeUsage(usage)}`);
  const gets = await rateOf(clients, SECONDS / 2, async (client) => {
    return (await send(client, 'GET', `${PATH}/${names[client]}`)) === 200;
  });
  const figures = [creates, updates].flatMap(({ perSecond, p99, errors }) => [
    perSecond.toFixed(0),
    p99.toFixed(1),
    errors,
  ]);
  print([clients, ...figures, gets.perSecond.toFixed(0), perWrite.toFixed(2)]);
  for (const connection of connections) connection.close();
}
for (const line of lines) console.log(line);
console.log('aims: 3,000/s at 256 clients; at 1,000 no errors and p99 of at most 1,000 ms');
await server.stop();
