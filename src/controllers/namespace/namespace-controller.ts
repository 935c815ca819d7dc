import { isConflict, isNotFound } from '../../api/errors.ts';
import { NAMESPACES, type ObjectKey, PODS } from '../../api/resource-types.ts';
import type { Namespace } from '../../api/types.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { objectPath } from '../../client/paths.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { deletionConditions } from './conditions.ts';
import { deleteContent, type Remains } from './content.ts';

const KUBERNETES = 'kubernetes';
/** How soon a namespace that still has content is looked at again; doubles each time. */
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 15_000;

/** Empties namespaces that are deleted, then lets them go. */
export function namespaceController(context: ControllerContext): Runnable {
  const { informers } = context;
  const namespaces = informers.get(NAMESPACES);
  const pods = informers.get(PODS);
  const reconciler = new NamespaceReconciler(context);
  const controller = newController(context, reconciler);
  const isGoing = (namespace: Namespace | undefined) =>
    namespace?.metadata.deletionTimestamp !== undefined;
  controller.watch(namespaces, (namespace) => (isGoing(namespace) ? [keyOf(namespace)] : []));
  // The last Pod of a namespace is what its deletion waits for.
  pods.addHandler({
    onDelete: ({ metadata: { namespace } }) => {
      const going = isGoing(namespaces.get({ namespace: '', name: namespace }));
      if (going && pods.list(namespace).length === 0) controller.enqueue(namespace);
    },
  });
  return controller;
}

class NamespaceReconciler implements Reconciler {
  readonly name = 'namespace-controller';
  readonly #context: ControllerContext;
  readonly #looks = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async reconcile(key: ObjectKey, signal: AbortSignal): Promise<Result> {
    const { client, informers } = this.#context;
    const cached = informers.get(NAMESPACES).get(key);
    if (!cached?.metadata.deletionTimestamp) {
      this.#looks.delete(key.name);
      return DONE;
    }
    try {
      // The cache may still show what a look just before has changed.
      const namespace = await this.#markTerminating(await client.get(NAMESPACES, key, signal));
      if (!namespace.metadata.deletionTimestamp) return DONE;
      if (!(namespace.spec?.finalizers ?? []).includes(KUBERNETES)) return DONE;
      const remains = await deleteContent(client, key.name, signal);
      const blocked = remains.counts.size > 0 || remains.failures.length > 0;
      if (blocked || remains.discoveryFailures.length > 0) return this.#wait(namespace, remains);
      await this.#finalize(namespace);
    } catch (err) {
      if (!isNotFound(err)) throw err;
    }
    this.#looks.delete(key.name);
    return DONE;
  }

  async #markTerminating(namespace: Namespace): Promise<Namespace> {
    if (namespace.status?.phase === 'Terminating') return namespace;
    const status = { ...namespace.status, phase: 'Terminating' };
    const options = { subresource: 'status' };
    return this.#context.client.update(NAMESPACES, { ...namespace, status }, options);
  }

  async #wait(namespace: Namespace, remains: Remains): Promise<Result> {
    const { client, clock } = this.#context;
    const known = namespace.status?.conditions ?? [];
    const conditions = deletionConditions(known, remains, clock.now());
    if (!jsonEqual(known, conditions)) {
      const status = { ...namespace.status, conditions };
      const changed = { ...namespace, status };
      try {
        await client.update(NAMESPACES, changed, { subresource: 'status' });
      } catch (err) {
        if (!isConflict(err)) throw err; // told at the next look
      }
    }
    const looks = this.#looks.get(namespace.metadata.name) ?? 0;
    this.#looks.set(namespace.metadata.name, looks + 1);
    return { requeueAfterMs: Math.min(LAST_LOOK_MS, FIRST_LOOK_MS * 2 ** looks) };
  }

  /** Takes away what keeps the emptied namespace; the server removes it when nothing else does. */
  async #finalize(namespace: Namespace): Promise<void> {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((name) => name !== KUBERNETES);
    const body = { ...namespace, spec: { ...namespace.spec, finalizers } };
    const key = { namespace: '', name: namespace.metadata.name };
    await this.#context.client.raw('PUT', objectPath(NAMESPACES, key, 'finalize'), body);
  }
}
