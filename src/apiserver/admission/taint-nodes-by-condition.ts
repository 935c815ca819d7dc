import { NODES } from '../../api/resource-types.ts';
import type { Node } from '../../api/types.ts';
import type { AdmissionPlugin } from '../admission.ts';
import { isAbout } from './plugin.ts';

const NOT_READY = 'node.kubernetes.io/not-ready';

/** A new node takes no Pods until the node lifecycle controller has seen it ready. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  mutate(request) {
    if (request.operation !== 'CREATE' || !isAbout(request, NODES)) return;
    const node = request.object as unknown as Node;
    node.spec ??= {};
    const taints = node.spec.taints ?? [];
    if (taints.some(({ key, effect }) => key === NOT_READY && effect === 'NoSchedule')) return;
    node.spec.taints = [...taints, { key: NOT_READY, effect: 'NoSchedule' }];
  },
};
