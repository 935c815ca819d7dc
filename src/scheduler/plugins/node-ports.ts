import type { Pod } from '../../api/types.ts';
import type { FilterPlugin, PreFilterPlugin } from '../framework.ts';
import { HostPorts } from '../host-ports.ts';
import { PodInfo } from '../pod-info.ts';
import { FITS, SKIP, unschedulable } from '../status.ts';

const REFUSED = unschedulable("node(s) didn't have free ports for the requested pod ports");

/** Rejects nodes where a host port that the Pod asks for is taken. */
export const nodePorts: PreFilterPlugin & FilterPlugin = {
  name: 'NodePorts',
  wakeOn: [
    {
      on: ['AssignedPod/Delete'],
      helps: (pod, { before }) => shareAPort(pod, new PodInfo(before as Pod)),
    },
    { on: ['Node/Add'] },
  ],

  preFilter(_state, pod) {
    return pod.hostPorts.length === 0 ? SKIP : FITS;
  },

  filter(_state, pod, node) {
    return pod.hostPorts.some((port) => node.ports.conflicts(port)) ? REFUSED : FITS;
  },
};

function shareAPort(pod: PodInfo, other: PodInfo): boolean {
  const used = new HostPorts();
  for (const port of other.hostPorts) used.add(port);
  return pod.hostPorts.some((port) => used.conflicts(port));
}
