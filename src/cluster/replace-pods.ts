import { rmSync } from 'node:fs';
import { isPodReady } from '../api/pods.ts';
import { PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import { importBundles } from './images.ts';
import type { Paths } from './paths.ts';
import { waitForApi, waitForPod } from './readiness.ts';
import type { ClusterSettings } from './settings.ts';
import {
  keptOf,
  REPLACED_ANNOTATION,
  type StaticPodManifest,
  staticPodFile,
  staticPodManifests,
} from './static-pods.ts';

const NAMESPACE = 'kube-system';
const LIMIT_MS = 300_000;

interface Deps {
  readonly client: Client;
  readonly clock: Clock;
  readonly progress: (line: string) => void;
}

/**
 * Puts the installed version in the place of a control plane in static Pods: new images, then a new manifest for one
 * component after the other, the next when the last is ready. One that does not become so gets its old manifest back.
 */
export async function replaceStaticPods(
  paths: Paths,
  settings: ClusterSettings,
  deps: Deps,
): Promise<void> {
  await importBundles(paths);
  const replacedAt = new Date(deps.clock.now()).toISOString();
  for (const manifest of staticPodManifests(paths, settings)) {
    const before = readIfExists(staticPodFile(paths, manifest.name));
    const { image } = await keptOf(before);
    if (image !== undefined) {
      deps.progress(`Left ${manifest.name} alone: it is ${image}`);
      continue;
    }
    await replaceOne(paths, settings, { manifest, before, replacedAt }, deps);
    deps.progress(`Replaced ${manifest.name}`);
  }
}

async function replaceOne(
  paths: Paths,
  { nodeName }: ClusterSettings,
  task: { manifest: StaticPodManifest; before: string | undefined; replacedAt: string },
  { client, clock }: Deps,
): Promise<void> {
  const { manifest, before, replacedAt } = task;
  const file = staticPodFile(paths, manifest.name);
  writeWhole(file, await manifest.text({ replacedAt }), SECRET_MODE);
  const late = new AbortController();
  const inTime = clock.after(LIMIT_MS, () => {
    late.abort(new Error(`not within ${LIMIT_MS / 1000} s`));
  });
  const selection = {
    namespace: NAMESPACE,
    fieldSelector: `metadata.name=${manifest.name}-${nodeName}`,
  };
  const isRight = (pod: Pod) =>
    pod.metadata.annotations?.[REPLACED_ANNOTATION] === replacedAt && isPodReady(pod);
  try {
    await waitForPod(client, { selection, isRight }, clock, late.signal);
    await waitForApi(client, clock, late.signal);
  } catch (err) {
    if (before === undefined) rmSync(file, { force: true });
    else writeWhole(file, before, SECRET_MODE);
    throw new Error(
      `${manifest.name} of the installed version did not become ready (${errorMessage(err)}); ${file} is as it was`,
      { cause: err },
    );
  } finally {
    inTime();
  }
}

/** The proxy's Pod of a node runs the image that was there when it started: another takes its place. `client`: that node's. */
export async function replaceProxyPod(
  paths: Paths,
  { nodeName }: ClusterSettings,
  { client, clock, progress }: Deps,
): Promise<void> {
  await importBundles(paths);
  const signal = AbortSignal.timeout(LIMIT_MS);
  const fieldSelector = `spec.nodeName=${nodeName}`;
  const ours = { namespace: NAMESPACE, labelSelector: 'k8s-app=kube-proxy', fieldSelector };
  const { items } = await client.list(PODS, ours, signal);
  for (const { metadata } of items) {
    const { name, namespace = NAMESPACE } = metadata;
    await client.delete(PODS, { namespace, name });
  }
  const old = new Set(items.map(({ metadata }) => metadata.uid));
  if (old.size === 0) return;
  const isRight = (pod: Pod) => !old.has(pod.metadata.uid) && isPodReady(pod);
  await waitForPod(client, { selection: ours, isRight }, clock, signal);
  progress('Replaced kube-proxy');
}
