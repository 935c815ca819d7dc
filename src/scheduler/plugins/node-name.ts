import type { FilterPlugin } from '../framework.ts';
import { FITS, unresolvable } from '../status.ts';

const REFUSED = unresolvable("node(s) didn't match the requested node name");

/** Rejects every node but the one that spec.nodeName asks for, if it asks. */
export const nodeName: FilterPlugin = {
  name: 'NodeName',
  wakeOn: [{ on: ['Node/Add'] }],

  filter(_state, pod, node) {
    return pod.nodeName === '' || pod.nodeName === node.name ? FITS : REFUSED;
  },
};
