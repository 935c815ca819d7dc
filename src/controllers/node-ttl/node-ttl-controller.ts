import { NODES, type ObjectKey } from '../../api/resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { unlessGone } from '../unless-gone.ts';

const ANNOTATION = 'node.alpha.kubernetes.io/ttl';
/** Up to `max` nodes kubelets may keep Secrets and the like for `seconds`; below `min` the step before holds again. */
const STEPS = [
  { min: 0, max: 100, seconds: 0 },
  { min: 90, max: 500, seconds: 15 },
  { min: 450, max: 1000, seconds: 30 },
  { min: 900, max: 2000, seconds: 60 },
  { min: 1800, max: 10_000, seconds: 300 },
  { min: 9000, max: Number.POSITIVE_INFINITY, seconds: 600 },
] as const;

/** The step for so many nodes, coming from another one. Pure. */
export function ttlStep(nodes: number, step: number): number {
  let at = step;
  while (nodes > (STEPS[at]?.max ?? 0)) at++;
  while (nodes < (STEPS[at]?.min ?? 0)) at--;
  return at;
}

/** Tells kubelets how long they may keep what they read: longer the more of them there are. Keys are nodes. */
export function nodeTtlController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const nodes = informers.get(NODES);
  let step = 0;
  const reconciler: Reconciler = {
    name: 'ttl-controller',
    async reconcile(key: ObjectKey) {
      const node = nodes.get(key);
      const value = String(STEPS[step]?.seconds ?? 0);
      if (!node || node.metadata.annotations?.[ANNOTATION] === value) return DONE;
      const body = { metadata: { annotations: { [ANNOTATION]: value } } };
      await unlessGone(client.patch(NODES, key, { type: 'strategic', body }));
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  let total = 0;
  const count = (change: number) => {
    const before = step;
    total += change;
    step = ttlStep(total, step);
    if (step !== before) for (const node of nodes.list()) controller.enqueue(keyOf(node));
  };
  nodes.addHandler({ onAdd: () => count(1), onDelete: () => count(-1) });
  controller.watch(nodes);
  return controller;
}
