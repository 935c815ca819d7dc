import type { EventRecorder } from '../../client/client.ts';
import type { MachineFacts } from '../../host/machine.ts';
import { errorMessage } from '../../util/errors.ts';
import type { KubeletConfiguration } from '../config.ts';
import type { PodGroups } from '../pod-groups.ts';
import { podsLimits } from './node-object.ts';

export interface Enforcement {
  readonly groups: Pick<PodGroups, 'ensureTop'>;
  readonly recorder: EventRecorder;
  readonly machine: Pick<MachineFacts, 'cpus' | 'memory'>;
  readonly config: KubeletConfiguration;
  readonly nodeName: string;
}

/** Makes the group of all pods, which together get no more than what is not reserved. The node's events tell of it. */
export async function enforceAllocatable(given: Enforcement): Promise<void> {
  const { groups, recorder, machine, config, nodeName } = given;
  const limits = podsLimits(machine, config);
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
  try {
    await groups.ensureTop(limits);
  } catch (err) {
    if (limits.memoryLimit === 0) throw err;
    // Pods that run already may have more than that. They go on.
    await groups.ensureTop({ ...limits, memoryLimit: 0 });
    const message = `Failed to update Node Allocatable Limits: ${errorMessage(err)}`;
    recorder.event(node, 'Warning', 'FailedNodeAllocatableEnforcement', message);
    return;
  }
  if (limits.memoryLimit === 0) return;
  const message = 'Updated Node Allocatable limit across pods';
  recorder.event(node, 'Normal', 'NodeAllocatableEnforced', message);
}
