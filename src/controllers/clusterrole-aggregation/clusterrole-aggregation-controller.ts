import { isConflict, isNotFound } from '../../api/errors.ts';
import { selects } from '../../api/labels.ts';
import type { ObjectKey } from '../../api/resource-types.ts';
import { CLUSTER_ROLES } from '../../api/system-resource-types.ts';
import type { ClusterRole } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';

/** A ClusterRole with an aggregation rule holds what the roles that it selects hold. */
export function clusterRoleAggregationController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const roles = informers.get(CLUSTER_ROLES);
  const reconciler: Reconciler = {
    name: 'clusterrole-aggregation-controller',
    async reconcile({ name }: ObjectKey) {
      const role = roles.get({ namespace: '', name });
      if (!role?.aggregationRule) return DONE;
      const rules = aggregatedRules(role, roles.list());
      if (jsonEqual(role.rules ?? [], rules)) return DONE;
      await client.update(CLUSTER_ROLES, { ...role, rules }).catch((err) => {
        if (!isConflict(err) && !isNotFound(err)) throw err;
      });
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  // A change of any role may concern every role that aggregates.
  controller.watch(roles, () =>
    roles.list().flatMap((role) => (role.aggregationRule ? [role.metadata.name] : [])),
  );
  return controller;
}

/** The rules of all roles that one selects, by name, each rule once. Pure. */
export function aggregatedRules(
  { metadata, aggregationRule }: ClusterRole,
  all: readonly ClusterRole[],
): NonNullable<ClusterRole['rules']> {
  const sorted = all
    .filter((role) => role.metadata.name !== metadata.name)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules = (aggregationRule?.clusterRoleSelectors ?? []).flatMap((selector) =>
    sorted.filter((role) => selects(selector, role.metadata.labels)).flatMap((r) => r.rules ?? []),
  );
  return rules.filter((rule, i) => rules.findIndex((other) => jsonEqual(other, rule)) === i);
}
