import { fromLabelSelector } from '../../api/labels.ts';
import { REPLICA_SETS } from '../../api/resource-types.ts';
import type { ControllerContext, Runnable } from '../context.ts';
import { replicaController } from './replicaset-controller.ts';

export function replicaSetController(context: ControllerContext): Runnable {
  return replicaController(context, {
    controller: 'replicaset-controller',
    type: REPLICA_SETS,
    selectorOf: (rs) => fromLabelSelector(rs.spec?.selector),
  });
}
