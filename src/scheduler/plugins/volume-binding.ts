import type { PersistentVolumeClaim } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import type { CycleState, PluginState } from '../cycle-state.ts';
import type { FilterPlugin, PreBindPlugin, PreFilterPlugin, ReservePlugin } from '../framework.ts';
import { FITS, SKIP, type Status, unresolvable } from '../status.ts';
import { claimVolume, selectNode, untilBound } from '../volume-binder.ts';
import { isBound, podClaims, type StorageListers, waitsForConsumer } from '../volume-claims.ts';
import { boundProblem, type NodePlan, planFor } from '../volume-plan.ts';

const NAME = 'VolumeBinding';
const UNBOUND = unresolvable('pod has unbound immediate PersistentVolumeClaims');

class VolumeState implements PluginState {
  readonly bound: readonly PersistentVolumeClaim[];
  readonly unbound: readonly PersistentVolumeClaim[];
  readonly plans = new Map<string, NodePlan>();

  constructor(bound: readonly PersistentVolumeClaim[], unbound: readonly PersistentVolumeClaim[]) {
    this.bound = bound;
    this.unbound = unbound;
  }

  clone(): VolumeState {
    return this;
  }
}

export interface VolumeBindingDeps {
  readonly client: Client;
  readonly storage: StorageListers;
  readonly clock: Clock;
}

/** VolumeBindingArgs. */
export interface VolumeBindingArgs {
  readonly bindTimeoutMs: number;
}

type VolumeBinding = PreFilterPlugin & FilterPlugin & ReservePlugin & PreBindPlugin;

/** Places Pods where their volumes are or can be, and has the volumes bound before the Pod (KEP-490, KEP-1472). */
export function volumeBinding(deps: VolumeBindingDeps, args: VolumeBindingArgs): VolumeBinding {
  const { storage } = deps;
  /** Volumes that a Pod on its way to a node has been given: volume → Pod uid. */
  const taken = new Map<string, string>();
  return {
    name: NAME,
    wakeOn: [
      {
        on: [
          ...(['PersistentVolumeClaim/Add', 'PersistentVolumeClaim/Update'] as const),
          ...(['PersistentVolume/Add', 'PersistentVolume/Update'] as const),
          ...(['StorageClass/Add', 'StorageClass/Update', 'CSIDriver/Update'] as const),
          ...(['CSIStorageCapacity/Add', 'CSIStorageCapacity/Update'] as const),
          ...(['CSINode/Add', 'CSINode/Update', 'Node/Add', 'Node/UpdateLabel'] as const),
        ],
      },
    ],

    preFilter(state, pod) {
      const { found, missing } = podClaims(storage, pod);
      if (found.length + missing.length === 0) return SKIP;
      const refusal = claimProblem(found, missing);
      if (refusal) return refusal;
      const bound = found.filter(isBound);
      const unbound = found.filter((claim) => !isBound(claim));
      if (unbound.some((claim) => !waitsForConsumer(storage, claim))) return UNBOUND;
      state.write(NAME, new VolumeState(bound, unbound));
      return FITS;
    },

    filter(state, _pod, { node, name }) {
      const volumes = state.read<VolumeState>(NAME);
      if (!volumes) return FITS;
      const problem = boundProblem(storage, volumes.bound, node);
      if (problem) return problem;
      const plan = planFor(storage, volumes.unbound, node, taken);
      if ('code' in plan) return plan;
      volumes.plans.set(name, plan);
      return FITS;
    },

    reserve(state, pod, nodeName) {
      const plan = planOf(state, nodeName);
      for (const { volume } of plan?.bindings ?? []) taken.set(volume.metadata.name, pod.uid);
      return FITS;
    },

    unreserve(state, _pod, nodeName) {
      for (const { volume } of planOf(state, nodeName)?.bindings ?? []) {
        taken.delete(volume.metadata.name);
      }
    },

    async preBind(state, pod, nodeName, signal) {
      const plan = planOf(state, nodeName);
      if (!plan || plan.bindings.length + plan.provisioned.length === 0) return FITS;
      for (const binding of plan.bindings) await claimVolume(deps.client, binding);
      for (const claim of plan.provisioned) await selectNode(deps.client, claim, nodeName);
      const waiting = [...plan.bindings.map(({ claim }) => claim), ...plan.provisioned];
      const status = await untilBound(deps, waiting, { nodeName, ...args, signal });
      for (const [volume, uid] of taken) if (uid === pod.uid) taken.delete(volume);
      return status;
    },
  };
}

function planOf(state: CycleState, nodeName: string): NodePlan | undefined {
  return state.read<VolumeState>(NAME)?.plans.get(nodeName);
}

function claimProblem(
  found: readonly PersistentVolumeClaim[],
  missing: readonly string[],
): Status | undefined {
  const [name] = missing;
  if (name !== undefined) return unresolvable(`persistentvolumeclaim "${name}" not found`);
  for (const { metadata, spec, status } of found) {
    if (status?.phase === 'Lost') {
      return unresolvable(
        `persistentvolumeclaim "${metadata.name}" bound to non-existent persistentvolume "${spec?.volumeName}"`,
      );
    }
    if (metadata.deletionTimestamp !== undefined) {
      return unresolvable(`persistentvolumeclaim "${metadata.name}" is being deleted`);
    }
  }
  return undefined;
}
