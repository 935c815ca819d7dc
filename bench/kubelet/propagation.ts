import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { CONFIG_MAPS } from '../../src/api/resource-types.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { podOf, shell } from '../../test/support/pods.ts';
import { percentile, summary } from '../support/percentile.ts';
import { runningPods } from './running-pods.ts';

/** Changes one config map that ten Pods show, again and again. */
const WATCHING_PODS = 10;
const CHANGES = 50;
const namespace = 'default';
const [, , kubeconfig = '', memoryVolumes = ''] = process.argv;
const client = await createClient(kubeconfig, { userAgent: 'bench' });
const key = { namespace, name: 'changing' };

await client.create(CONFIG_MAPS, {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: key,
  data: { key: '0' },
});
const drafts = Array.from({ length: WATCHING_PODS }, (_, i) => {
  const volumes = [{ name: 'v', configMap: { name: key.name } }];
  const main = shell('main', 'sleep 3600', { volumeMounts: [{ name: 'v', mountPath: '/v' }] });
  return podOf(`reader-${i}`, [main], { volumes });
});
const directories = (await runningPods(client, drafts)).map((pod) =>
  join(memoryVolumes, pod.metadata.uid, 'v'),
);

const stop = new AbortController();
const heard = new Map<string, () => void>();
const watching = (async () => {
  const selection = { namespace, fieldSelector: `metadata.name=${key.name}`, resourceVersion: '' };
  for await (const { object } of client.watch(CONFIG_MAPS, selection, stop.signal)) {
    heard.get(object.data?.key ?? '')?.();
  }
})().catch(() => {});
const files: number[] = [];
const floor: number[] = [];
for (let change = 1; change <= CHANGES; change++) {
  const text = String(change);
  const { promise, resolve } = Promise.withResolvers<void>();
  heard.set(text, resolve);
  const seen = directories.map((directory) => whenShown(directory, text));
  await client.patch(CONFIG_MAPS, key, { type: 'merge', body: { data: { key: text } } });
  const begin = performance.now();
  const since = (times: number[]) => (): void => void times.push(performance.now() - begin);
  await Promise.all([promise.then(since(floor)), ...seen.map((s) => s.then(since(files)))]);
}
stop.abort();
await watching;
console.log(`file in the Pod   ${summary(files)}   (at most 10 s)`);
console.log(`floor             ${summary(floor)}   (a watch of the same object)`);
const ratio = percentile(files, 0.5) / Math.max(0.1, percentile(floor, 0.5));
console.log(`ratio             ${ratio.toFixed(1)} at p50`);
process.exit();

/** Resolves when the volume's file holds the text. */
function whenShown(directory: string, text: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(directory, () => {
      if (readFileSync(join(directory, 'key'), 'utf8') !== text) return;
      watcher.close();
      resolve();
    });
  });
}
