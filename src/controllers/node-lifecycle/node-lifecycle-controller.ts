import { isConflict, isNotFound } from '../../api/errors.ts';
import { isPodReady } from '../../api/pods.ts';
import { LEASES, NODES, type ObjectKey, PODS } from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { Lease, Node, Pod } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { type Controller, DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { sameTaint } from '../taints.ts';
import { readyCondition, unknownConditions, wantedTaints } from './conditions.ts';
import { evictionRates, zoneOf } from './zones.ts';

const NAME = 'node-lifecycle-controller';
const LEASE_NAMESPACE = 'kube-node-lease';

/** When something was last heard of a node: its lease was renewed, or its Ready condition posted. */
interface Heard {
  at: number;
  renewed: string | undefined;
  posted: string | undefined;
}

export function nodeLifecycleController(context: ControllerContext): Runnable {
  const { informers } = context;
  const nodes = informers.get(NODES);
  const pods = informers.get(PODS);
  const leases = informers.get(LEASES, { namespace: LEASE_NAMESPACE });
  pods.addIndex('node', (pod) => [pod.spec?.nodeName ?? '']);
  const events = context.events('node-controller');
  const lifecycle = new NodeLifecycle({ context, nodes, pods, leases, events });
  const controller = newController(context, lifecycle);
  lifecycle.attach(controller);
  return controller;
}

interface Deps {
  readonly context: ControllerContext;
  readonly nodes: Informer<Node>;
  readonly pods: Informer<Pod>;
  readonly leases: Informer<Lease>;
  readonly events: EventRecorder;
}

/** Nodes that fall silent become Unknown; what is not ready is tainted, and evicted from at a bounded rate. */
class NodeLifecycle implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;
  readonly #heard = new Map<string, Heard>();
  /** When the next node of a zone may be evicted from. */
  readonly #nextEviction = new Map<string, number>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  attach(controller: Controller): void {
    const { nodes, leases, events } = this.#deps;
    const enqueue = ({ metadata }: { metadata: { name: string } }) =>
      controller.enqueue(metadata.name);
    nodes.addHandler({
      onAdd: (node) => {
        const text = `Node ${node.metadata.name} event: Registered Node ${node.metadata.name} in Controller`;
        events.event(node, 'Normal', 'RegisteredNode', text);
        enqueue(node);
      },
      onUpdate: (_, node) => enqueue(node),
      onDelete: (node) => {
        const text = `Node ${node.metadata.name} event: Removing Node ${node.metadata.name} from Controller`;
        events.event(node, 'Normal', 'RemovingNode', text);
        enqueue(node);
      },
    });
    // Renewals are the pulse of a healthy cluster: they only move a time, and the deadline that is set finds it.
    leases.addHandler({ onAdd: enqueue });
    controller.needs(nodes);
    controller.needs(leases);
    controller.needs(this.#deps.pods);
  }

  async reconcile({ name }: ObjectKey): Promise<Result> {
    const { nodes, context } = this.#deps;
    const node = nodes.get({ namespace: '', name });
    if (!node) {
      this.#heard.delete(name);
      return DONE;
    }
    const deadline = this.#deadlineOf(node);
    const now = context.clock.now();
    const current = now >= deadline ? await this.#markUnknown(node) : node;
    const again = await this.#taint(current);
    // A kubelet that says itself that its node is not ready still tells of each Pod what it is.
    if (readyCondition(current)?.status === 'Unknown') await this.#markPodsNotReady(current);
    const waits = [again, now < deadline ? deadline - now : undefined];
    const soonest = Math.min(...waits.map((wait) => wait ?? Number.POSITIVE_INFINITY));
    return Number.isFinite(soonest) ? { requeueAfterMs: soonest } : DONE;
  }

  /** The clock of another machine is not trusted: only that something new was heard counts, and when we heard it. */
  #deadlineOf(node: Node): number {
    const { context, leases } = this.#deps;
    const { name } = node.metadata;
    const renewed = leases.get({ namespace: LEASE_NAMESPACE, name })?.spec?.renewTime;
    const posted = readyCondition(node)?.lastHeartbeatTime;
    const before = this.#heard.get(name);
    let at = before?.at ?? context.clock.now();
    if (before && (before.renewed !== renewed || before.posted !== posted)) {
      at = context.clock.now();
    }
    this.#heard.set(name, { at, renewed, posted });
    const { nodeStartupGracePeriodMs, nodeMonitorGracePeriodMs } = context.options;
    return at + (posted === undefined ? nodeStartupGracePeriodMs : nodeMonitorGracePeriodMs);
  }

  async #markUnknown(node: Node): Promise<Node> {
    const { context, events } = this.#deps;
    const conditions = unknownConditions(node, context.clock.now());
    if (jsonEqual(conditions, node.status?.conditions)) return node;
    const status = { ...node.status, conditions };
    const wasReady = readyCondition(node)?.status === 'True';
    const changed = { ...node, status };
    const after = await context.client.update(NODES, changed, { subresource: 'status' });
    this.#heard.set(node.metadata.name, {
      at: context.clock.now(),
      renewed: this.#heard.get(node.metadata.name)?.renewed,
      posted: readyCondition(after)?.lastHeartbeatTime,
    });
    if (wasReady) {
      const text = `Node ${node.metadata.name} status is now: NodeNotReady`;
      events.event(node, 'Normal', 'NodeNotReady', text);
    }
    return after;
  }

  /** Answers when to look again, if the rate forbids to evict now. */
  async #taint(node: Node): Promise<number | undefined> {
    const { client, clock } = this.#deps.context;
    const now = clock.now();
    const known = node.spec?.taints ?? [];
    const all = wantedTaints(node, { evict: true, now });
    const evicts = all.some(
      (taint) => taint.effect === 'NoExecute' && !known.some((k) => sameTaint(k, taint)),
    );
    const wait = evicts ? this.#takeEviction(node, now) : undefined;
    const taints = wait === undefined ? all : wantedTaints(node, { evict: false, now });
    const same =
      taints.length === known.length && taints.every((t) => known.some((k) => jsonEqual(k, t)));
    if (!same) await client.update(NODES, { ...node, spec: { ...node.spec, taints } });
    return wait;
  }

  /** Undefined: go ahead. Else milliseconds to wait. */
  #takeEviction(node: Node, now: number): number | undefined {
    const { context, nodes } = this.#deps;
    const zone = zoneOf(node);
    const rate = evictionRates(nodes.list(), context.options).get(zone) ?? 0;
    if (rate <= 0) return context.options.nodeMonitorPeriodMs;
    const next = this.#nextEviction.get(zone) ?? 0;
    if (now < next) return next - now;
    this.#nextEviction.set(zone, now + 1000 / rate);
    return undefined;
  }

  /** Services must not send anything to Pods of a node that does not answer. */
  async #markPodsNotReady(node: Node): Promise<void> {
    const { pods, context, events } = this.#deps;
    for (const pod of pods.byIndex('node', node.metadata.name)) {
      if (!isPodReady(pod)) continue;
      const at = timeString(context.clock.now());
      const conditions = pod.status?.conditions?.map((condition) =>
        condition.type === 'Ready'
          ? { ...condition, status: 'False', lastTransitionTime: at }
          : condition,
      );
      const changed = { ...pod, status: { ...pod.status, conditions } };
      events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
      await context.client.update(PODS, changed, { subresource: 'status' }).catch(ignoreLost);
    }
  }
}

/** Gone or changed meanwhile: the next look settles it. */
function ignoreLost(err: unknown): void {
  if (!isNotFound(err) && !isConflict(err)) throw err;
}
