import type { PreEnqueuePlugin } from '../framework.ts';
import { FITS, unresolvable } from '../status.ts';

/** Keeps a Pod out of scheduling until spec.schedulingGates is empty (KEP-3521). */
export const schedulingGates: PreEnqueuePlugin = {
  name: 'SchedulingGates',
  wakeOn: [{ on: ['Pod/UpdateSchedulingGates'] }],

  preEnqueue(pod) {
    const gates = pod.pod.spec?.schedulingGates ?? [];
    if (gates.length === 0) return FITS;
    const names = gates.map((gate) => gate.name).join(' ');
    return unresolvable(`waiting for scheduling gates: [${names}]`);
  },
};
