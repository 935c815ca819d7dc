import { fromLabelSelector, matches } from '../api/labels.ts';
import { controllerOf } from '../api/owner-references.ts';
import { keyString, parseKey } from '../api/resource-types.ts';
import type { LabelSelector, OwnerReference, Pod } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import { keyOf } from '../client/indexer.ts';
import { jsonEqual } from '../util/json.ts';

const INDEX = 'controller';

interface OwnerInCache {
  readonly metadata: { readonly uid: string };
}

/** What a controller does about the Pods of its objects. Keys are those of the owners. */
export interface OwnedPodsHandler {
  /** The kind in the Pods' controller reference. */
  readonly kind: string;
  owner(key: string): OwnerInCache | undefined;
  /** Owners that might adopt an orphan. */
  candidates(pod: Pod): string[];
  enqueue(key: string): void;
  created?(key: string, pod: Pod): void;
  /** Also called when the Pod only begins to go. May be called more than once. */
  deleted?(key: string, pod: Pod): void;
  updated?(key: string, before: Pod, after: Pod): void;
}

/** Lets `podsOf` and `orphansIn` answer without a scan. Every controller that uses them calls this first. */
export function indexPodsByController(pods: Informer<Pod>): void {
  pods.addIndex(INDEX, (pod) => [controllerOf(pod)?.uid ?? `/${pod.metadata.namespace}`]);
}

/** The Pods that name this controller. */
export function podsOf(pods: Informer<Pod>, uid: string): Pod[] {
  return pods.byIndex(INDEX, uid);
}

/** The Pods that an object may claim: its own and those of its namespace that nobody manages. */
export function claimablePods(
  pods: Informer<Pod>,
  { namespace, uid }: { namespace: string; uid: string },
): Pod[] {
  return [...podsOf(pods, uid), ...pods.byIndex(INDEX, `/${namespace}`)];
}

/** Turns what happens to Pods into keys of their owners (upstream's addPod, updatePod and deletePod handlers). */
export function watchOwnedPods(pods: Informer<Pod>, handler: OwnedPodsHandler): void {
  const resolve = (pod: Pod, reference: OwnerReference | undefined): string | undefined => {
    if (reference?.kind !== handler.kind) return undefined;
    const key = keyString({ namespace: pod.metadata.namespace, name: reference.name });
    // A UID that differs is another object of the same name: the Pod is not its.
    return handler.owner(key)?.metadata.uid === reference.uid ? key : undefined;
  };
  const remove = (pod: Pod) => {
    const key = resolve(pod, controllerOf(pod));
    if (key === undefined) return;
    handler.deleted?.(key, pod);
    handler.enqueue(key);
  };
  const offer = (pod: Pod) => {
    for (const key of handler.candidates(pod)) handler.enqueue(key);
  };
  const add = (pod: Pod) => {
    if (pod.metadata.deletionTimestamp) {
      remove(pod); // a restarted manager sees it for the first time when it is already going
      return;
    }
    const reference = controllerOf(pod);
    if (!reference) {
      offer(pod);
      return;
    }
    const key = resolve(pod, reference);
    if (key === undefined) return;
    handler.created?.(key, pod);
    handler.enqueue(key);
  };
  const update = (before: Pod, after: Pod) => {
    const relabelled = !jsonEqual(before.metadata.labels, after.metadata.labels);
    if (after.metadata.deletionTimestamp) {
      remove(after);
      if (relabelled) remove(before);
      return;
    }
    const [was, is] = [controllerOf(before), controllerOf(after)];
    const left = was?.uid === is?.uid ? undefined : resolve(before, was);
    if (left !== undefined) handler.enqueue(left);
    const key = resolve(after, is);
    if (key !== undefined) {
      handler.enqueue(key);
      handler.updated?.(key, before, after);
    } else if (!is && (relabelled || was)) offer(after);
  };
  pods.addHandler({ onAdd: add, onUpdate: update, onDelete: remove });
}

/** The cached owner of a key, for `OwnedPodsHandler.owner`. */
export function byKey<T>(informer: Informer<T>): (key: string) => T | undefined {
  return (key) => informer.get(parseKey(key));
}

interface Selecting {
  readonly spec?: { readonly selector?: LabelSelector | undefined } | undefined;
}

/** The owners in the Pod's namespace whose selector it matches, for `OwnedPodsHandler.candidates`. */
export function selectedBy<T extends Selecting>(owners: Informer<T>): (pod: Pod) => string[] {
  return ({ metadata }) =>
    owners
      .list(metadata.namespace)
      .filter(({ spec }) => matches(fromLabelSelector(spec?.selector), metadata.labels))
      .map(keyOf);
}
