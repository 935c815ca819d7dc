import type { FilterPlugin } from '../framework.ts';
import { FITS, unresolvable } from '../status.ts';
import { toleratesAny } from '../tolerations.ts';

const CORDON = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
const REFUSED = unresolvable('node(s) were unschedulable');

/** Rejects cordoned nodes (spec.unschedulable) unless the Pod tolerates the cordon taint. */
export const nodeUnschedulable: FilterPlugin = {
  name: 'NodeUnschedulable',
  wakeOn: [{ on: ['Node/Add', 'Node/UpdateTaint', 'Pod/UpdateToleration'] }],

  filter(_state, pod, { node }) {
    if (!node.spec?.unschedulable) return FITS;
    return toleratesAny(pod.tolerations, CORDON) ? FITS : REFUSED;
  },
};
