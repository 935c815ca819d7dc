import { NODES, type ObjectKey, PODS } from '../../api/resource-types.ts';
import type { Node, Pod } from '../../api/types.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { disrupt } from '../pod-eviction.ts';
import { type Taint, tolerationTime } from '../taints.ts';

const NAME = 'taint-eviction-controller';

/** Pods leave nodes whose NoExecute taints they do not tolerate, or tolerate only for a time. Keys are Pods. */
export function taintEvictionController(context: ControllerContext): Runnable {
  const { client, informers, clock } = context;
  const nodes = informers.get(NODES);
  const pods = informers.get(PODS);
  pods.addIndex('node', (pod) => [pod.spec?.nodeName ?? '']);
  const events = context.events(NAME);
  /** Pods that wait for the end of their time, and since when. */
  const waiting = new Map<string, number>();
  const cancel = (key: string, pod: Pod | undefined) => {
    if (!waiting.delete(key) || !pod) return;
    events.event(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
  };
  const reconciler: Reconciler = {
    name: NAME,
    async reconcile(key: ObjectKey): Promise<Result> {
      const pod = pods.get(key);
      const id = `${key.namespace}/${key.name}`;
      const node = pod && nodes.get({ namespace: '', name: pod.spec?.nodeName ?? '' });
      const taints = noExecute(node);
      if (!pod || taints.length === 0 || pod.metadata.deletionTimestamp) {
        cancel(id, pod);
        return DONE;
      }
      const allowed = tolerationTime(pod, taints);
      if (allowed === Number.POSITIVE_INFINITY) {
        cancel(id, pod);
        return DONE;
      }
      const now = clock.now();
      const since = waiting.get(id) ?? now;
      waiting.set(id, since);
      const left = since + (allowed ?? 0) - now;
      if (allowed !== undefined && left > 0) return { requeueAfterMs: left };
      const text = `Marking for deletion Pod ${id}`;
      events.event(pod, 'Normal', 'TaintManagerEviction', text);
      waiting.delete(id);
      const message = 'Taint manager: deleting due to NoExecute taint';
      await disrupt(client, pod, { reason: 'DeletionByTaintManager', message, now });
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  const enqueueAll = (node: Node) => {
    for (const pod of pods.byIndex('node', node.metadata.name)) controller.enqueue(keyOf(pod));
  };
  nodes.addHandler({
    onAdd: (node) => {
      if (noExecute(node).length > 0) enqueueAll(node);
    },
    onUpdate: (before, after) => {
      if (!jsonEqual(noExecute(before), noExecute(after))) enqueueAll(after);
    },
  });
  pods.addHandler({
    onAdd: (pod) => {
      if (pod.spec?.nodeName) controller.enqueue(keyOf(pod));
    },
    onUpdate: (before, after) => {
      const moved = before.spec?.nodeName !== after.spec?.nodeName;
      const retolerated = !jsonEqual(before.spec?.tolerations, after.spec?.tolerations);
      if (moved || retolerated) controller.enqueue(keyOf(after));
    },
    onDelete: (pod) => waiting.delete(keyOf(pod)),
  });
  controller.needs(nodes);
  controller.needs(pods);
  return controller;
}

function noExecute(node: Node | undefined): Taint[] {
  return (node?.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
}
