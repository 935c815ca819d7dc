import type {
  LabelSelector,
  ReplicaSet,
  ReplicationController,
  Service,
  StatefulSet,
} from '../api/types.ts';
import type { Lister } from '../client/client.ts';
import type { PodInfo } from './pod-info.ts';

export interface SiblingListers {
  readonly services: Lister<Service>;
  readonly replicaSets: Lister<ReplicaSet>;
  readonly statefulSets: Lister<StatefulSet>;
  readonly replicationControllers: Lister<ReplicationController>;
}

/** What selects the Pods that belong together with this one: its Services' labels and its controller's selector (upstream DefaultSelector). */
export function siblingSelector(listers: SiblingListers, pod: PodInfo): LabelSelector | undefined {
  const matchLabels: Record<string, string> = {};
  for (const { spec } of listers.services.list(pod.namespace)) {
    const wanted = Object.entries(spec?.selector ?? {});
    if (wanted.length === 0 || wanted.some(([key, value]) => pod.labels[key] !== value)) continue;
    Object.assign(matchLabels, spec?.selector);
  }
  const owned = controllerSelector(listers, pod);
  Object.assign(matchLabels, owned?.matchLabels);
  const matchExpressions = owned?.matchExpressions ?? [];
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) return undefined;
  return { matchLabels, matchExpressions };
}

function controllerSelector(listers: SiblingListers, pod: PodInfo): LabelSelector | undefined {
  const owner = pod.pod.metadata.ownerReferences?.find((reference) => reference.controller);
  if (!owner) return undefined;
  const key = { namespace: pod.namespace, name: owner.name };
  switch (owner.kind) {
    case 'ReplicaSet':
      return listers.replicaSets.get(key)?.spec?.selector;
    case 'StatefulSet':
      return listers.statefulSets.get(key)?.spec?.selector;
    case 'ReplicationController': {
      const matchLabels = listers.replicationControllers.get(key)?.spec?.selector;
      return matchLabels && { matchLabels };
    }
    default:
      return undefined;
  }
}
