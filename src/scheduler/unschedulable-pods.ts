import type { QueuedPod } from './queued-pod.ts';

/** Pods that wait for an event, found by the plugins that rejected them: an event costs only what it may wake. */
export class UnschedulablePods {
  readonly #pods = new Map<string, QueuedPod>();
  readonly #byPlugin = new Map<string, Set<QueuedPod>>();
  #gated = 0;

  get size(): number {
    return this.#pods.size;
  }

  get gatedCount(): number {
    return this.#gated;
  }

  get(uid: string): QueuedPod | undefined {
    return this.#pods.get(uid);
  }

  values(): IterableIterator<QueuedPod> {
    return this.#pods.values();
  }

  rejectedBy(plugin: string): Iterable<QueuedPod> {
    return this.#byPlugin.get(plugin) ?? [];
  }

  set(pod: QueuedPod): void {
    this.#pods.set(pod.info.uid, pod);
    if (pod.gatedBy !== undefined) this.#gated++;
    for (const plugin of pluginsOf(pod)) {
      const members = this.#byPlugin.get(plugin);
      if (members) members.add(pod);
      else this.#byPlugin.set(plugin, new Set([pod]));
    }
  }

  delete(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod) return;
    this.#pods.delete(uid);
    if (pod.gatedBy !== undefined) this.#gated--;
    for (const plugin of pluginsOf(pod)) this.#byPlugin.get(plugin)?.delete(pod);
  }
}

function pluginsOf(pod: QueuedPod): Iterable<string> {
  if (pod.gatedBy !== undefined) return [pod.gatedBy];
  return new Set([...pod.rejectedBy, ...pod.pendingOn]);
}
