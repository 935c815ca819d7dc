import { lstat, mkdir, readdir, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { POD_GRACE_ANNOTATION } from './names.ts';
import type { Pleg } from './pleg.ts';
import type { PodDirs } from './pod-dirs.ts';
import type { PodGroups } from './pod-groups.ts';
import type { PodWorkers } from './pod-workers.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';
import type { RuntimePod } from './runtime-pod.ts';
import type { VolumeManager } from './volumes/volume-manager.ts';

// Orphans are rare: they come from a kubelet that was away while its pods were deleted.
const PERIOD_MS = 60_000;
// Something could not be taken away yet: a mount that is still in use, a sandbox that is still ending.
const RETRY_MS = 5000;
const DEFAULT_GRACE = 30;
// Beside the one that runs (or ended last), one earlier run of each container is kept for its log and its end.
const DEAD_KEPT = 1;

export interface HousekeepingDeps {
  runtime: ContainerRuntime;
  clock: Clock;
  log: Logger;
  pleg: Pleg;
  workers: PodWorkers;
  volumes: VolumeManager;
  groups: PodGroups;
  dirs: PodDirs;
}

/** Takes away what no pod owns any more: containers, sandboxes, directories, control groups, logs. */
export class Housekeeping {
  readonly #deps: HousekeepingDeps;

  constructor(deps: HousekeepingDeps) {
    this.#deps = deps;
  }

  async makeDirectories(): Promise<void> {
    const { dirs } = this.#deps;
    for (const path of [dirs.allPodLogs, dirs.containerLogLinks]) {
      await mkdir(path, { recursive: true, mode: 0o755 });
    }
  }

  /** Works until aborted. Every source must have been heard before, or all pods would seem to be orphans. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      let clean = false;
      try {
        clean = await this.#sweep(signal);
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err: errorMessage(err) }, 'Housekeeping failed');
      }
      await clock.sleep(clean ? PERIOD_MS : RETRY_MS, signal).catch(() => {});
    }
  }

  /** Answers false when something is left that could not be taken away yet. */
  async #sweep(signal: AbortSignal): Promise<boolean> {
    const { pleg, workers, groups, volumes } = this.#deps;
    // At once, and each for itself: one that takes long or cannot be removed keeps no other one.
    const swept = await Promise.all(
      pleg.list().map((pod) => this.#attempt(pod.uid, signal, () => this.#sweepPod(pod, signal))),
    );
    const isOurs = (uid: string): boolean =>
      workers.get(uid) !== undefined || pleg.get(uid).containers.length > 0;
    for (const uid of await volumes.podsOnDisk()) {
      if (isOurs(uid)) continue;
      swept.push(await this.#attempt(uid, signal, () => volumes.tearDown(uid)));
    }
    for (const [uid, name] of await groups.leftovers()) {
      if (isOurs(uid)) continue;
      swept.push(await this.#attempt(uid, signal, () => groups.removeLeftover(name)));
    }
    await this.#removeLogs(isOurs);
    const orphans = pleg.list().some(({ uid }) => workers.get(uid) === undefined);
    return !orphans && swept.every(Boolean);
  }

  /** True when it worked. */
  async #attempt(uid: string, signal: AbortSignal, act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (err) {
      signal.throwIfAborted();
      this.#deps.log.warn({ uid, err: errorMessage(err) }, 'Cannot clear away after a pod');
      return false;
    }
  }

  async #sweepPod(pod: RuntimePod, signal: AbortSignal): Promise<void> {
    if (this.#deps.workers.get(pod.uid)) await this.#removeSurplus(pod, signal);
    else await this.#removeOrphan(pod, signal);
  }

  /** The node is short of disk: what ended containers left goes, but for their last run. */
  async removeDead(signal: AbortSignal): Promise<void> {
    for (const pod of this.#deps.pleg.list()) await this.#removeSurplus(pod, signal, 0);
  }

  async #removeOrphan(pod: RuntimePod, signal: AbortSignal): Promise<void> {
    const { runtime, log, pleg } = this.#deps;
    log.info({ pod: `${pod.namespace}/${pod.name}`, uid: pod.uid }, 'Removing an orphaned pod');
    const running = pod.containers.filter((c) => c.state === 'running');
    await Promise.all(
      running.map((c) => {
        const grace = Number(c.annotations[POD_GRACE_ANNOTATION] ?? DEFAULT_GRACE);
        return runtime.stopContainer(c.id, grace, signal);
      }),
    );
    for (const sandbox of pod.sandboxes) {
      await runtime.stopPodSandbox(sandbox.id, signal);
      await runtime.removePodSandbox(sandbox.id, signal);
    }
    await pleg.refresh(pod.uid, signal);
  }

  /** Earlier runs beyond those that are kept, and sandboxes that a newer one replaced. */
  async #removeSurplus(pod: RuntimePod, signal: AbortSignal, kept = DEAD_KEPT): Promise<void> {
    const { runtime, dirs, pleg } = this.#deps;
    const seen = new Map<string, number>();
    let removed = 0;
    for (const container of pod.containers) {
      const runs = seen.get(container.name) ?? 0;
      seen.set(container.name, runs + 1);
      if (runs <= kept || container.state !== 'exited') continue;
      await runtime.removeContainer(container.id, signal);
      const metadata = { namespace: pod.namespace, name: pod.name, uid: pod.uid };
      const log = `${container.name}/${container.attempt}.log`;
      await rm(join(dirs.podLogs({ metadata }), log), { force: true });
      removed++;
    }
    for (const sandbox of pod.sandboxes.slice(1)) {
      const inUse = pod.containers.some((c) => c.sandboxId === sandbox.id);
      if (sandbox.ready || inUse) continue;
      await runtime.removePodSandbox(sandbox.id, signal);
      removed++;
    }
    if (removed > 0) await pleg.refresh(pod.uid, signal);
  }

  async #removeLogs(isOurs: (uid: string) => boolean): Promise<void> {
    const { dirs } = this.#deps;
    for (const name of await readdir(dirs.allPodLogs)) {
      const uid = name.split('_').pop() ?? '';
      if (!isOurs(uid)) await rm(join(dirs.allPodLogs, name), { recursive: true, force: true });
    }
    for (const name of await readdir(dirs.containerLogLinks)) {
      const link = join(dirs.containerLogLinks, name);
      if ((await lstat(link)).isSymbolicLink() && !(await exists(await readlink(link)))) {
        await rm(link, { force: true });
      }
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
