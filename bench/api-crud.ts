import type { ApiProcess } from '../test/support/api-process.ts';
import { describeUsage, startBenchServer } from './support/bench-server.ts';
import { startEchoServer } from './support/echo-server.ts';
import { rateOf } from './support/rate.ts';

// Requests of every verb through the whole server, over HTTPS, beside a bare Node.js server that parses and echoes the
// same bodies. One core each.

const CLIENTS = [1, 16, 64];
const SECONDS = 3;
// Node compiles what runs often: both servers have served for a while before anything is measured.
const WARM_UP = { clients: 64, seconds: 2 };
const PATH = '/api/v1/namespaces/default/configmaps';
const data = { text: 'x'.repeat(1000) };
const JSON_PATCH = 'application/json-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly type?: string;
}

type Make = (client: number, n: number) => Request;

const own = (client: number): string => `own-${client}`;
const object = (name: string, n: number) => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', data },
  metadata: { name, labels: { n: String(n) } },
});

const VERBS: Readonly<Record<string, (clients: number) => Make>> = {
  get: () => (client) => ({ method: 'GET', path: `${PATH}/${own(client)}` }),
  create: (clients) => (client, n) => ({
    ...{ method: 'POST', path: PATH },
    body: object(`c-${clients}-${client}-${n}`, n),
  }),
  update: () => (client, n) => ({
    ...{ method: 'PUT', path: `${PATH}/${own(client)}` },
    body: object(own(client), n),
  }),
  'JSON patch': () => (client, n) => ({
    ...{ method: 'PATCH', path: `${PATH}/${own(client)}`, type: JSON_PATCH },
    body: [{ op: 'add', path: '/metadata/labels/n', value: String(n) }],
  }),
  'strategic patch': () => (client, n) => ({
    ...{ method: 'PATCH', path: `${PATH}/${own(client)}`, type: STRATEGIC },
    body: { metadata: { labels: { n: String(n) } } },
  }),
};

async function measure(
  send: ApiProcess['send'],
  { clients, seconds = SECONDS }: { clients: number; seconds?: number },
  make: Make,
) {
  return rateOf(clients, seconds, async (client, n) => {
    const { method, path, body, type } = make(client, n);
    return (await send(method, path, body, type)).status < 300;
  });
}

const server = await startBenchServer();
const floor = await startEchoServer(server);
for (let client = 0; client < Math.max(...CLIENTS); client++) {
  await server.send('POST', PATH, object(own(client), 0));
}
for (const of of Object.values(VERBS)) {
  for (const { send } of [floor, server]) await measure(send, WARM_UP, of(0));
}
console.log('verb             clients  requests/s   p99 ms  errors   floor/s  of the floor');
const lines: string[] = [];
for (const [verb, of] of Object.entries(VERBS)) {
  await server.usage();
  for (const clients of CLIENTS) {
    const bare = await measure(floor.send, { clients }, of(clients));
    const { perSecond, p99, errors } = await measure(server.send, { clients }, of(clients));
    console.log(
      [
        verb.padEnd(17),
        String(clients).padStart(7),
        perSecond.toFixed(0).padStart(12),
        p99.toFixed(1).padStart(9),
        String(errors).padStart(8),
        bare.perSecond.toFixed(0).padStart(10),
        `${((100 * perSecond) / bare.perSecond).toFixed(0)} %`.padStart(14),
      ].join(''),
    );
  }
  lines.push(`${verb}: ${describeUsage(await server.usage())}`);
}
for (const line of lines) console.log(line);
console.log(
  'aims: get 60 %, create and update 25 % of the floor; p99 of at most 25 ms with 16 clients',
);
await floor.stop();
await server.stop();
