import { isNotFound } from '../../api/errors.ts';
import { isPodTerminal } from '../../api/pods.ts';
import { NODES, PODS } from '../../api/resource-types.ts';
import type { Node, Pod } from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { disrupt } from '../pod-eviction.ts';

const EVERYTHING = 'pods';
/** Upstream's gcCheckPeriod; here the time between a reason to look and the look. */
const LOOK_AFTER_MS = 20_000;
/** A node that is missing may only be late in the cache. */
const QUARANTINE_MS = 40_000;
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

/** Removes Pods that no kubelet will ever remove. One key: the whole. */
export function podGcController(context: ControllerContext): Runnable {
  const { informers, options } = context;
  const nodes = informers.get(NODES);
  const pods = informers.get(PODS);
  const controller = newController(context, new PodGc(context, nodes, pods));
  const look = () => controller.enqueueAfter(EVERYTHING, LOOK_AFTER_MS);
  nodes.addHandler({
    onDelete: look,
    onUpdate: (_, node) => {
      if (!isReady(node)) look();
    },
  });
  let terminated = 0;
  const count = (pod: Pod, step: number) => {
    if (!isPodTerminal(pod)) return;
    terminated += step;
    if (terminated > options.terminatedPodGcThreshold) look();
  };
  pods.addHandler({
    onAdd: (pod) => {
      count(pod, 1);
      const { nodeName } = pod.spec ?? {};
      const homeless = nodeName && !nodes.get({ namespace: '', name: nodeName });
      if (homeless || pod.metadata.deletionTimestamp) look();
    },
    onUpdate: (before, after) => {
      count(before, -1);
      count(after, 1);
      if (after.metadata.deletionTimestamp && !before.metadata.deletionTimestamp) look();
    },
    onDelete: (pod) => count(pod, -1),
  });
  controller.needs(nodes);
  controller.needs(pods);
  return controller;
}

class PodGc implements Reconciler {
  readonly name = 'pod-garbage-collector-controller';
  readonly #context: ControllerContext;
  readonly #nodes: Lister<Node>;
  readonly #pods: Lister<Pod>;
  readonly #missingSince = new Map<string, number>();

  constructor(context: ControllerContext, nodes: Lister<Node>, pods: Lister<Pod>) {
    this.#context = context;
    this.#nodes = nodes;
    this.#pods = pods;
  }

  async reconcile(): Promise<Result> {
    const all = this.#pods.list();
    const { terminatedPodGcThreshold } = this.#context.options;
    for (const pod of surplusTerminated(all, terminatedPodGcThreshold)) await this.#remove(pod);
    const gone = await this.#goneNodes(all);
    for (const pod of all) await this.#inspect(pod, gone);
    return this.#missingSince.size > gone.size ? { requeueAfterMs: LOOK_AFTER_MS } : DONE;
  }

  async #inspect(pod: Pod, gone: ReadonlySet<string>): Promise<void> {
    const name = pod.spec?.nodeName ?? '';
    if (gone.has(name)) return this.#disrupt(pod, 'PodGC: node no longer exists');
    if (!pod.metadata.deletionTimestamp) return undefined;
    if (name === '') return this.#remove(pod);
    const node = this.#nodes.get({ namespace: '', name });
    const tainted = node?.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) ?? false;
    if (!node || !tainted || isReady(node)) return undefined;
    return this.#disrupt(pod, 'PodGC: node out of service');
  }

  /** Nodes that Pods name and that are truly gone: missing for long enough, and the server says so. */
  async #goneNodes(all: readonly Pod[]): Promise<Set<string>> {
    const { clock } = this.#context;
    const named = new Set(all.map((pod) => pod.spec?.nodeName ?? ''));
    const missing = [...named].filter(
      (name) => name !== '' && !this.#nodes.get({ namespace: '', name }),
    );
    for (const name of this.#missingSince.keys()) {
      if (!missing.includes(name)) this.#missingSince.delete(name);
    }
    const gone = new Set<string>();
    for (const name of missing) {
      const since = this.#missingSince.get(name) ?? clock.now();
      this.#missingSince.set(name, since);
      if (clock.now() - since >= QUARANTINE_MS && (await this.#isGone(name))) gone.add(name);
    }
    return gone;
  }

  async #isGone(name: string): Promise<boolean> {
    try {
      await this.#context.client.get(NODES, { namespace: '', name });
      return false;
    } catch (err) {
      if (isNotFound(err)) return true;
      throw err;
    }
  }

  async #remove(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    const how = { gracePeriodSeconds: 0, preconditions: { uid } };
    try {
      await this.#context.client.delete(PODS, { namespace, name }, how);
    } catch (err) {
      if (!isNotFound(err)) throw err;
    }
  }

  #disrupt(pod: Pod, message: string): Promise<void> {
    const { client, clock } = this.#context;
    const phase = isPodTerminal(pod) ? {} : { phase: 'Failed' as const };
    const why = { reason: 'DeletionByPodGC', message, now: clock.now(), ...phase };
    return disrupt(client, pod, why, { gracePeriodSeconds: 0 });
  }
}

function isReady(node: Node): boolean {
  return node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
}

/** The oldest Pods that have ended, beyond the number that is kept; 0 keeps all. Pure. */
export function surplusTerminated(pods: readonly Pod[], threshold: number): Pod[] {
  if (threshold <= 0) return [];
  const ended = pods.filter((pod) => isPodTerminal(pod) && !pod.metadata.deletionTimestamp);
  const age = (pod: Pod) => pod.metadata.creationTimestamp;
  return ended
    .toSorted((a, b) => (age(a) < age(b) ? -1 : 1))
    .slice(0, Math.max(0, ended.length - threshold));
}
