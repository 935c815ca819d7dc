import type { ApiProcess } from '../test/support/api-process.ts';
import { describeUsage, startBenchServer } from './support/bench-server.ts';
import { rateOf } from './support/rate.ts';

// Server-side apply of a Deployment beside a plain update of the same object, over HTTPS.

const CLIENTS = [1, 16, 64];
const SECONDS = 3;
// Node compiles what runs often: the server has served for a while before anything is measured.
const WARM_UP = { clients: 64, seconds: 2 };
const PATH = '/apis/apps/v1/namespaces/default/deployments';
const APPLY = 'application/apply-patch+yaml';

function deployment(client: number, n: number) {
  const labels = { app: `d-${client}` };
  return {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment' },
    metadata: { name: `d-${client}`, labels, annotations: { n: String(n) } },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              ...{ name: 'main', image: 'example.com/main:1' },
              ports: [{ containerPort: 8080 }],
              env: [{ name: 'MODE', value: 'fast' }],
              resources: { requests: { cpu: '100m', memory: '64Mi' } },
            },
          ],
        },
      },
    },
  };
}

type Send = (client: number, n: number) => ReturnType<ApiProcess['send']>;

const server = await startBenchServer();
const apply: Send = (client, n) =>
  server.send(
    'PATCH',
    `${PATH}/d-${client}?fieldManager=bench&force=true`,
    deployment(client, n),
    APPLY,
  );
const update: Send = (client, n) =>
  server.send('PUT', `${PATH}/d-${client}`, deployment(client, n));

for (let client = 0; client < Math.max(...CLIENTS); client++) await apply(client, 0);
const rateBy = (send: Send, clients: number, seconds: number) =>
  rateOf(clients, seconds, async (client, n) => (await send(client, n + 1)).status < 300);
for (const send of [update, apply]) await rateBy(send, WARM_UP.clients, WARM_UP.seconds);
await server.usage();
const lines: string[] = [];
console.log('clients   applies/s  p99 ms  errors   updates/s  p99 ms  errors   apply / update');
for (const clients of CLIENTS) {
  const updates = await rateBy(update, clients, SECONDS);
  const applies = await rateBy(apply, clients, SECONDS);
  console.log(
    [
      String(clients).padStart(7),
      applies.perSecond.toFixed(0).padStart(12),
      applies.p99.toFixed(1).padStart(8),
      String(applies.errors).padStart(8),
      updates.perSecond.toFixed(0).padStart(12),
      updates.p99.toFixed(1).padStart(8),
      String(updates.errors).padStart(8),
      (applies.perSecond / updates.perSecond).toFixed(2).padStart(17),
    ].join(''),
  );
  lines.push(`${clients} clients: ${describeUsage(await server.usage())}`);
}
for (const line of lines) console.log(line);
console.log('aim: applies at a third of the rate of updates');
await server.stop();
