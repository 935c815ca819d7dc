import { qosClassOf } from '../api/pods.ts';
import type { Pod } from '../api/types.ts';
import type { Cgroups } from '../host/cgroups.ts';
import { podRequest, podResources } from './resources.ts';

export interface PodGroupsOptions {
  /** --cgroup-root: everything of pods lies below it. */
  root: string;
  /** Bound on processes per pod; 0 is none. */
  podPidsLimit: number;
}

/**
 * The control groups of pods: /kubepods, below it one group per QoS class (Guaranteed pods have none of their own),
 * below that one per pod. The runtime puts containers below the pod's.
 */
export class PodGroups {
  readonly #cgroups: Cgroups;
  readonly #options: PodGroupsOptions;
  readonly #ensured = new Set<string>();

  constructor(deps: { cgroups: Cgroups }, options: PodGroupsOptions) {
    this.#cgroups = deps.cgroups;
    this.#options = options;
  }

  /** `/kubepods`, below the root. */
  get top(): string {
    return join(this.#options.root, 'kubepods');
  }

  parentFor(pod: Pod): string {
    const qos = pod.spec ? qosClassOf(pod.spec) : 'BestEffort';
    const own = `pod${pod.metadata.uid}`;
    return qos === 'Guaranteed' ? join(this.top, own) : join(this.top, qos.toLowerCase(), own);
  }

  /** The groups that all pods share, with the node's whole share of CPU and memory. */
  async ensureTop(limits: { cpuShares: number; memoryLimit: number }): Promise<void> {
    await this.#cgroups.ensure(this.top, limits);
    await this.#cgroups.ensure(join(this.top, 'burstable'), { cpuShares: 2 });
    await this.#cgroups.ensure(join(this.top, 'besteffort'), { cpuShares: 2 });
  }

  async ensure(pod: Pod): Promise<void> {
    const name = this.parentFor(pod);
    if (this.#ensured.has(name)) return;
    await this.#cgroups.ensure(name, { ...podResources(pod), pids: this.#options.podPidsLimit });
    this.#ensured.add(name);
  }

  /** Limits may have changed: the next `ensure` sets them again. */
  invalidate(pod: Pod): void {
    this.#ensured.delete(this.parentFor(pod));
  }

  async remove(pod: Pod): Promise<void> {
    const name = this.parentFor(pod);
    this.#ensured.delete(name);
    await this.#cgroups.remove(name);
  }

  /** The Burstable class as a whole weighs as much as its pods ask for. */
  async weighBurstable(pods: readonly Pod[]): Promise<void> {
    const burstable = pods.filter((p) => p.spec && qosClassOf(p.spec) === 'Burstable');
    const milli = burstable.reduce((sum, pod) => sum + podRequest(pod, 'cpu'), 0);
    const cpuShares = Math.max(2, Math.floor((milli * 1024) / 1000));
    await this.#cgroups.ensure(join(this.top, 'burstable'), { cpuShares });
  }

  /** Groups of pods that are left on the machine, by pod uid. */
  async leftovers(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const parent of [this.top, join(this.top, 'burstable'), join(this.top, 'besteffort')]) {
      for (const child of await this.#cgroups.children(parent)) {
        if (child.startsWith('pod')) found.set(child.slice(3), join(parent, child));
      }
    }
    return found;
  }

  async removeLeftover(name: string): Promise<void> {
    await this.#cgroups.remove(name);
  }
}

const join = (...parts: string[]): string => {
  const path = parts
    .flatMap((p) => p.split('/'))
    .filter((p) => p !== '')
    .join('/');
  return `/${path}`;
};
