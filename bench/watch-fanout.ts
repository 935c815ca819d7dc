import { request } from 'node:https';
import { startApiProcess } from '../test/support/api-process.ts';

// 1,000 watchers of one namespace, 10 updates a second of 3 kB objects: how late each event is.

const WATCHERS = 1000;
// On two cores, which the watchers share, encryption of more than this is the limit.
const UPDATES_PER_SECOND = 10;
const SECONDS = 5;
const PATH = '/api/v1/namespaces/default/configmaps';

const server = await startApiProcess();
const { agent, port } = server;
const data = { text: 'x'.repeat(2_700) };
const made = await server.send('POST', PATH, { metadata: { name: 'm' }, data });
const from = /"resourceVersion":"(\d+)"/.exec(made.text)?.[1] ?? '';
const latencies: number[] = [];
let events = 0;

const open = (): Promise<() => void> =>
  new Promise((resolve, reject) => {
    const path = `${PATH}?watch=1&resourceVersion=${from}`;
    const req = request(
      { ...agent.options, agent: false, host: '127.0.0.1', port, path },
      (res) => {
        let rest = '';
        res.on('data', (chunk: Buffer) => {
          const text = rest + chunk.toString('latin1');
          const lines = text.split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) {
            events++;
            const sent = /"sent":"([\d.]+)"/.exec(line)?.[1];
            if (sent) latencies.push(performance.now() - Number(sent));
          }
        });
        resolve(() => req.destroy());
      },
    );
    req.on('error', reject);
    req.end();
  });

const closers: (() => void)[] = [];
for (let i = 0; i < WATCHERS; i += 50) {
  closers.push(...(await Promise.all(Array.from({ length: 50 }, open))));
}
const type = 'application/merge-patch+json';
const start = performance.now();
let updates = 0;
for (; updates < UPDATES_PER_SECOND * SECONDS; updates++) {
  const due = start + (updates * 1000) / UPDATES_PER_SECOND;
  const wait = due - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  const sent = String(performance.now());
  await server.send('PATCH', `${PATH}/m`, { metadata: { annotations: { sent } } }, type);
}
const elapsed = (performance.now() - start) / 1000;
await new Promise((resolve) => setTimeout(resolve, 1000));
latencies.sort((a, b) => a - b);
const at = (share: number): string =>
  (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1);
console.log(`${updates} updates in ${elapsed.toFixed(1)} s to ${WATCHERS} watchers`);
console.log(`events: ${events} of ${updates * WATCHERS}, ${(events / elapsed).toFixed(0)}/s`);
console.log(`late by: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
for (const close of closers) close();
await server.stop();
