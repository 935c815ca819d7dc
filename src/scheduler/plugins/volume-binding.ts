import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import type { CycleState, PluginState } from '../cycle-state.ts';
import type { FilterPlugin, PreBindPlugin, PreFilterPlugin, ReservePlugin } from '../framework.ts';
import { FITS, failed, SKIP, type Status, unresolvable } from '../status.ts';
import {
  clusterKey,
  isBound,
  matchingVolume,
  podClaims,
  provisioning,
  reachable,
  SELECTED_NODE,
  type StorageListers,
  waitsForConsumer,
} from '../volume-claims.ts';

const NAME = 'VolumeBinding';
const UNBOUND = unresolvable('pod has unbound immediate PersistentVolumeClaims');
const CONFLICT = unresolvable("node(s) didn't match PersistentVolume's node affinity");
const NO_VOLUME = unresolvable("node(s) didn't find available persistent volumes to bind");
const NO_SPACE = unresolvable('node(s) did not have enough free storage');
const LOST = unresolvable(
  'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
);

interface NodePlan {
  /** A volume that exists for each of these claims. */
  readonly bindings: readonly { claim: PersistentVolumeClaim; volume: PersistentVolume }[];
  /** Claims for which a volume is to be made. */
  readonly provisioned: readonly PersistentVolumeClaim[];
}

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

function boundProblem(
  storage: StorageListers,
  bound: readonly PersistentVolumeClaim[],
  node: Node,
): Status | undefined {
  for (const { spec } of bound) {
    const volume = storage.volumes.get(clusterKey(spec?.volumeName ?? ''));
    if (!volume) return LOST;
    if (!reachable(volume, node)) return CONFLICT;
  }
  return undefined;
}

/** A volume for every claim: one that exists, or one that can be made. */
function planFor(
  storage: StorageListers,
  unbound: readonly PersistentVolumeClaim[],
  node: Node,
  taken: ReadonlyMap<string, string>,
): NodePlan | Status {
  const bindings: { claim: PersistentVolumeClaim; volume: PersistentVolume }[] = [];
  const provisioned: PersistentVolumeClaim[] = [];
  const used = new Set(taken.keys());
  for (const claim of unbound) {
    // A provisioner is at work for another node already: the claim belongs there.
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (selected !== undefined && selected !== node.metadata.name) return NO_VOLUME;
    const volume = selected
      ? undefined
      : matchingVolume(storage, claim, node, (name) => used.has(name));
    if (volume) {
      used.add(volume.metadata.name);
      bindings.push({ claim, volume });
      continue;
    }
    const answer = provisioning(storage, claim, node);
    if (answer !== 'possible') return answer === 'no-capacity' ? NO_SPACE : NO_VOLUME;
    provisioned.push(claim);
  }
  return { bindings, provisioned };
}

async function claimVolume(
  client: Client,
  { claim, volume }: NodePlan['bindings'][number],
): Promise<void> {
  const { namespace, name, uid } = claim.metadata;
  const claimRef = { kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace, name, uid };
  const annotations = { 'pv.kubernetes.io/bound-by-controller': 'yes' };
  // The revision keeps two schedulers from giving the same volume away.
  const { resourceVersion } = volume.metadata;
  const body = { metadata: { annotations, resourceVersion }, spec: { claimRef } };
  await client.patch(PERSISTENT_VOLUMES, clusterKey(volume.metadata.name), { type: 'merge', body });
}

async function selectNode(
  client: Client,
  { metadata }: PersistentVolumeClaim,
  nodeName: string,
): Promise<void> {
  if (metadata.annotations?.[SELECTED_NODE] === nodeName) return;
  const { namespace, name, uid } = metadata;
  const body = { metadata: { uid, annotations: { [SELECTED_NODE]: nodeName } } };
  await client.patch(PERSISTENT_VOLUME_CLAIMS, { namespace, name }, { type: 'merge', body });
}

const LOOK_MS = 200;

/** Volume controllers do the rest. A provisioner that gives up takes its annotation back. */
async function untilBound(
  { storage, clock }: VolumeBindingDeps,
  claims: readonly PersistentVolumeClaim[],
  options: { nodeName: string; bindTimeoutMs: number; signal: AbortSignal },
): Promise<Status | undefined> {
  const deadline = clock.now() + options.bindTimeoutMs;
  for (const { metadata } of claims) {
    for (;;) {
      const now = storage.claims.get(metadata);
      if (!now)
        return failed(`persistentvolumeclaim "${metadata.name}" was deleted while it was bound`);
      if (isBound(now)) break;
      if (clock.now() >= deadline) return failed('timed out waiting for the condition');
      await clock.sleep(LOOK_MS, options.signal);
    }
  }
  return FITS;
}
