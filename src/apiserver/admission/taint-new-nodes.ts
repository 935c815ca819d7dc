import type { Node } from '../../api/types.ts';
import type { AdmissionPlugin } from '../admission.ts';

const NOT_READY = 'node.kubernetes.io/not-ready';

/** Nothing is scheduled to a new node before its kubelet has said that it is ready. */
export const taintNewNodes: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  mutate({ operation, kind, object, subresource }) {
    if (operation !== 'CREATE' || subresource !== '') return;
    if (kind.group !== '' || kind.resource !== 'nodes') return;
    const node = object as unknown as Node;
    node.spec ??= {};
    const taints = node.spec.taints ?? [];
    if (taints.some((t) => t.key === NOT_READY && t.effect === 'NoSchedule')) return;
    node.spec.taints = [...taints, { key: NOT_READY, effect: 'NoSchedule' }];
  },
};
