import { isConflict, isNotFound } from '../../api/errors.ts';
import { apiVersionOf, type ObjectKey, type ResourceType } from '../../api/resource-types.ts';
import { CUSTOM_RESOURCE_DEFINITIONS } from '../../api/system-resource-types.ts';
import type { ObjectMeta, OwnerReference, PartialObject } from '../../api/types.ts';
import { type Controller, DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import {
  FOREGROUND,
  Graph,
  type Node,
  nodeOf,
  ORPHAN,
  waitsForDependents,
  wantsOrphans,
} from './graph.ts';
import { Monitors } from './monitors.ts';
import { classify, judge, type OwnerState } from './owners.ts';

const NAME = 'garbage-collector-controller';
const MAX_ABSENT = 1000;

export function garbageCollector(context: ControllerContext): Runnable {
  return new GarbageCollector(context);
}

/**
 * Deletes objects whose owners are gone. Keys are UIDs. Upstream's rules (background, foreground, orphan) on a graph of
 * the metadata of all kinds; a dependent is deleted on condition that it is still what the graph says it is.
 */
class GarbageCollector implements Reconciler, Runnable {
  readonly name = NAME;
  readonly #context: ControllerContext;
  readonly #graph = new Graph();
  readonly #monitors: Monitors;
  readonly #controller: Controller;
  /** UIDs that are known to be gone: a UID never comes back, so nobody needs to be asked again. */
  readonly #absent = new Set<string>();
  #synced = false;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#monitors = new Monitors(context, {
      seen: (type, object) => this.#seen(type, object),
      gone: (uid) => this.#gone(uid),
    });
    this.#controller = newController(context, this);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { informers } = this.#context;
    await this.#monitors.refresh(signal);
    // Custom kinds come and go with their definitions; each one that is served begins to be watched.
    const definitions = informers.get(CUSTOM_RESOURCE_DEFINITIONS);
    const refreshing = new Set<Promise<void>>();
    const refresh = () => {
      const work = this.#monitors.refresh(signal).finally(() => refreshing.delete(work));
      refreshing.add(work);
    };
    definitions.addHandler({
      onAdd: (_, initial) => {
        if (!initial) refresh();
      },
      onUpdate: refresh,
      onDelete: refresh,
    });
    await this.#monitors.whenSynced(signal).catch(() => {});
    if (signal.aborted) return;
    this.#synced = true;
    for (const node of this.#graph.nodes()) this.#consider(node);
    await this.#controller.run(signal);
    await Promise.all([this.#monitors.finished(), ...refreshing]);
  }

  #seen(type: ResourceType<unknown>, object: PartialObject): void {
    const node = nodeOf(type, object);
    const before = this.#graph.set(node);
    if (!this.#synced) return;
    this.#consider(node);
    if (!before) return;
    if (waitsForDependents(node) && !waitsForDependents(before)) {
      for (const { uid } of this.#graph.dependentsOf(node.uid)) this.#controller.enqueue(uid);
    }
    // An owner that waits may now be free.
    for (const { uid } of before.owners) this.#wakeWaiting(uid);
  }

  /** Enqueues what there may be something to do about; most objects have no owner or a living one. */
  #consider(node: Node): void {
    const doubtful = node.owners.some(({ uid }) => {
      const owner = this.#graph.get(uid);
      return !owner || waitsForDependents(owner) || isElsewhere(owner, node);
    });
    if (doubtful || waitsForDependents(node) || wantsOrphans(node)) {
      this.#controller.enqueue(node.uid);
    }
  }

  #gone(uid: string): void {
    const node = this.#graph.delete(uid);
    const dependents = this.#graph.dependentsOf(uid);
    if (dependents.length > 0) this.#rememberAbsent(uid);
    if (!this.#synced) return;
    for (const dependent of dependents) this.#controller.enqueue(dependent.uid);
    for (const owner of node?.owners ?? []) this.#wakeWaiting(owner.uid);
  }

  #rememberAbsent(uid: string): void {
    this.#absent.add(uid);
    const oldest = this.#absent.values().next();
    if (this.#absent.size > MAX_ABSENT && !oldest.done) this.#absent.delete(oldest.value);
  }

  #wakeWaiting(uid: string): void {
    const owner = this.#graph.get(uid);
    if (owner && waitsForDependents(owner)) this.#controller.enqueue(uid);
  }

  async reconcile({ name: uid }: ObjectKey): Promise<Result> {
    const node = this.#graph.get(uid);
    if (!node) return DONE;
    try {
      if (wantsOrphans(node)) await this.#orphanDependents(node);
      else if (waitsForDependents(node)) await this.#finishForeground(node);
      else if (!node.going) await this.#collect(node);
    } catch (err) {
      // Gone meanwhile; or changed, then the change comes by the watch and is looked at anew.
      if (isNotFound(err)) return DONE;
      if (isConflict(err)) return { requeueAfterMs: 50 };
      throw err;
    }
    return DONE;
  }

  async #collect(node: Node): Promise<void> {
    if (node.owners.length === 0) return;
    const states = new Map<string, OwnerState>();
    for (const reference of node.owners) {
      states.set(reference.uid, await this.#stateOf(node, reference));
    }
    const owners = classify(node.owners, ({ uid }) => states.get(uid) ?? 'absent');
    const dependents = this.#graph.dependentsOf(node.uid);
    const verdict = judge(node, owners, dependents);
    if (verdict.action === 'keep') return;
    if (verdict.action === 'drop-references') {
      await this.#dropReferences(node, new Set(verdict.uids));
      return;
    }
    // A circle of objects that wait for each other would wait for ever: cut it here.
    if (dependents.some((d) => waitsForDependents(d)) && owners.waiting.length > 0) {
      await this.#patchOwners(
        node,
        node.owners.map((reference) => ({ ...reference, blockOwnerDeletion: false })),
      );
      await this.#delete({ ...node, resourceVersion: '' }, verdict.policy);
      return;
    }
    await this.#delete(node, verdict.policy);
  }

  /** From the graph where it knows the owner, else from the server: a watch may be behind. */
  async #stateOf(node: Node, reference: OwnerReference): Promise<OwnerState> {
    if (this.#absent.has(reference.uid)) return 'absent';
    const known = this.#graph.get(reference.uid);
    const type = known?.type ?? this.#monitors.typeOf(reference);
    if (!type) throw new Error(`No kind ${reference.kind} in ${reference.apiVersion}`);
    if (type.namespaced && node.key.namespace === '') {
      this.#tellMisplaced(node, reference);
      return { owner: 'exists' }; // such a reference is wrong, but no reason to delete
    }
    const namespace = type.namespaced ? node.key.namespace : '';
    if (known) {
      if (known.key.namespace === namespace && known.key.name === reference.name) {
        return { owner: known };
      }
      this.#tellMisplaced(node, reference);
      return 'misplaced';
    }
    const { client } = this.#context;
    try {
      const found = await client.get(type, { namespace, name: reference.name });
      const { metadata } = found as { metadata: ObjectMeta };
      if (metadata.uid === reference.uid) return { owner: 'exists' };
    } catch (err) {
      if (!isNotFound(err)) throw err;
    }
    this.#rememberAbsent(reference.uid);
    return 'absent';
  }

  #tellMisplaced(node: Node, { kind, name, uid }: OwnerReference): void {
    const about = {
      apiVersion: apiVersionOf(node.type),
      kind: node.type.kind,
      metadata: { ...node.key, uid: node.uid },
    };
    const owner = `[${kind}, namespace: ${node.key.namespace}, name: ${name}, uid: ${uid}]`;
    const text = `ownerRef ${owner} does not exist in namespace "${node.key.namespace}"`;
    this.#context.events(NAME).event(about, 'Warning', 'OwnerRefInvalidNamespace', text);
  }

  /** The dependents lose their reference to the node, then the node may go. */
  async #orphanDependents(node: Node): Promise<void> {
    for (const dependent of this.#graph.dependentsOf(node.uid)) {
      await this.#dropReferences(dependent, new Set([node.uid])).catch(ignoreNotFound);
    }
    await this.#removeFinalizer(node, ORPHAN);
  }

  /** Waits until no dependent blocks; a blocking one is looked at each time something about it changes. */
  async #finishForeground(node: Node): Promise<void> {
    const blockers = this.#graph.blockersOf(node.uid);
    if (blockers.length === 0) {
      await this.#removeFinalizer(node, FOREGROUND);
      return;
    }
    for (const blocker of blockers) {
      if (!waitsForDependents(blocker)) this.#controller.enqueue(blocker.uid);
    }
  }

  async #delete(node: Node, policy: 'Foreground' | 'Background' | 'Orphan'): Promise<void> {
    const { uid, resourceVersion } = node;
    // The revision makes sure that nobody has changed the owners since.
    const preconditions = { uid, ...(resourceVersion ? { resourceVersion } : {}) };
    const options = { propagationPolicy: policy, preconditions };
    await this.#context.client.delete(node.type, node.key, options);
  }

  #dropReferences(node: Node, uids: ReadonlySet<string>): Promise<void> {
    return this.#patchOwners(
      node,
      node.owners.filter(({ uid }) => !uids.has(uid)),
    );
  }

  #patchOwners(node: Node, ownerReferences: readonly OwnerReference[]): Promise<void> {
    return this.#patch(node, { ownerReferences });
  }

  #removeFinalizer(node: Node, name: string): Promise<void> {
    return this.#patch(node, { finalizers: node.finalizers.filter((f) => f !== name) });
  }

  /** A merge patch replaces the whole list: the revision guards what others have put there. */
  async #patch(node: Node, change: object): Promise<void> {
    const { uid, resourceVersion } = node;
    const body = { metadata: { uid, resourceVersion, ...change } };
    await this.#context.client.patch(node.type, node.key, { type: 'merge', body });
  }
}

/** Named as an owner from another namespace. A cluster-scoped owner is everywhere. */
function isElsewhere(owner: Node, node: Node): boolean {
  return owner.type.namespaced && owner.key.namespace !== node.key.namespace;
}

function ignoreNotFound(err: unknown): void {
  if (!isNotFound(err)) throw err;
}
