import { qosClassOf } from '../api/pods.ts';
import type { Pod } from '../api/types.ts';
import type { Cgroups } from '../host/cgroups.ts';
import { jsonEqual } from '../util/json.ts';
import { type PodResources, podRequest, podResources } from './resources.ts';

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
  readonly #ensured = new Map<string, PodResources>();

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

  /** The same as the runtime is told. */
  runtimeParent(pod: Pod): string {
    return this.#cgroups.parentOf(this.parentFor(pod));
  }

  /** The groups that all pods share, with the node's whole share of CPU and memory. */
  async ensureTop(limits: { cpuShares: number; memoryLimit: number }): Promise<void> {
    await this.#cgroups.ensure(this.top, limits);
    await this.#cgroups.ensure(join(this.top, 'burstable'), { cpuShares: 2 });
    await this.#cgroups.ensure(join(this.top, 'besteffort'), { cpuShares: 2 });
  }

  /** Memory that all pods together may still take; undefined where nothing bounds them. */
  async memoryLeft({ memoryLimit }: { memoryLimit: number }) {
    if (memoryLimit === 0) return undefined;
    const usage = await this.#cgroups.usage(this.top);
    return usage && { available: memoryLimit - usage.memoryWorkingSet, total: memoryLimit };
  }

  async ensure(pod: Pod): Promise<void> {
    await this.#set(this.parentFor(pod), podResources(pod));
  }

  /** Before containers change: room for what they have as well as for what they get. */
  async widen(pod: Pod): Promise<void> {
    const name = this.parentFor(pod);
    const wanted = podResources(pod);
    const before = this.#ensured.get(name) ?? wanted;
    await this.#set(name, {
      cpuShares: Math.max(before.cpuShares, wanted.cpuShares),
      cpuQuota: widerLimit(before.cpuQuota, wanted.cpuQuota),
      memoryLimit: widerLimit(before.memoryLimit, wanted.memoryLimit),
    });
  }

  async #set(name: string, resources: PodResources): Promise<void> {
    if (jsonEqual(this.#ensured.get(name), resources)) return;
    await this.#cgroups.ensure(name, { ...resources, pids: this.#options.podPidsLimit });
    this.#ensured.set(name, resources);
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

/** 0 is no limit, which is wider than any. */
const widerLimit = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : Math.max(a, b));

const join = (...parts: string[]): string => {
  const path = parts
    .flatMap((p) => p.split('/'))
    .filter((p) => p !== '')
    .join('/');
  return `/${path}`;
};
