import { fromLabelSelector, matches } from '../../api/labels.ts';
import { controllerOf } from '../../api/owner-references.ts';
import type { Deployment, ReplicaSet } from '../../api/types.ts';
import type { Informer, Lister } from '../../client/client.ts';
import { keyOf } from '../../client/indexer.ts';
import { jsonEqual } from '../../util/json.ts';

/** The Deployment that manages a ReplicaSet, by name and UID. */
export function deploymentOfReplicaSet(
  deployments: Lister<Deployment>,
  rs: ReplicaSet,
): Deployment | undefined {
  const owner = controllerOf(rs);
  if (owner?.kind !== 'Deployment') return undefined;
  const found = deployments.get({ namespace: rs.metadata.namespace, name: owner.name });
  return found?.metadata.uid === owner.uid ? found : undefined;
}

/** What happens to a ReplicaSet wakes its Deployment; an orphan wakes every Deployment that may adopt it. */
export function watchReplicaSets(deps: {
  deployments: Lister<Deployment>;
  sets: Informer<ReplicaSet>;
  enqueue(key: string): void;
}): void {
  const { deployments, sets, enqueue } = deps;
  const tell = (rs: ReplicaSet) => {
    const owner = deploymentOfReplicaSet(deployments, rs);
    if (owner) enqueue(keyOf(owner));
  };
  const offer = (rs: ReplicaSet) => {
    for (const candidate of deployments.list(rs.metadata.namespace)) {
      const selector = fromLabelSelector(candidate.spec?.selector);
      if (matches(selector, rs.metadata.labels)) enqueue(keyOf(candidate));
    }
  };
  sets.addHandler({
    onAdd: (rs) => (controllerOf(rs) ? tell(rs) : offer(rs)),
    onUpdate: (before, after) => {
      if (controllerOf(before)?.uid !== controllerOf(after)?.uid) tell(before);
      if (controllerOf(after)) tell(after);
      else if (controllerOf(before) || !jsonEqual(before.metadata.labels, after.metadata.labels)) {
        offer(after);
      }
    },
    onDelete: tell,
  });
}
