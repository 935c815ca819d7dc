import { fromLabelSelector, fromMap } from '../../api/labels.ts';
import {
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  type ResourceType,
} from '../../api/resource-types.ts';
import type { ReplicaSet } from '../../api/types.ts';
import type { ControllerContext, Runnable } from '../context.ts';
import { replicaController } from './replicaset-controller.ts';

export function replicaSetController(context: ControllerContext): Runnable {
  return replicaController(context, {
    controller: 'replicaset-controller',
    type: REPLICA_SETS,
    selectorOf: (rs) => fromLabelSelector(rs.spec?.selector),
  });
}

/** The elder form of the ReplicaSet: its selector is a plain map, everything else is the same. */
export function replicationController(context: ControllerContext): Runnable {
  return replicaController(context, {
    controller: 'replication-controller',
    type: REPLICATION_CONTROLLERS as unknown as ResourceType<ReplicaSet>,
    selectorOf: ({ spec }) => fromMap((spec?.selector ?? {}) as Record<string, string>),
  });
}
