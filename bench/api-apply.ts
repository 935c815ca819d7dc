import { type ApiProcess, startApiProcess } from '../test/support/api-process.ts';
import { rateOf } from './support/rate.ts';

// Server-side apply of a Deployment beside a plain update of the same object, over HTTPS.

const CLIENTS = [1, 16, 64];
const SECONDS = 3;
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

const server = await startApiProcess();
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
console.log('clients   applies/s  p99 ms  errors   updates/s  p99 ms  errors   apply / update');
for (const clients of CLIENTS) {
  const rate = (send: Send) =>
    rateOf(clients, SECONDS, async (client, n) => (await send(client, n + 1)).status < 300);
  const updates = await rate(update);
  const applies = await rate(apply);
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
}
await server.stop();
