import { randomUUID } from 'node:crypto';
import type { DeviceClass, Node } from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import { consumedCapacity } from './device-capacity.ts';
import type { Allocation, DeviceConfig, DeviceResult } from './device-parts.ts';
import { placeOf } from './device-pools.ts';
import type { Picked } from './device-search.ts';
import type { WantedClaim } from './device-wants.ts';

type NodeSelector = NonNullable<Allocation['nodeSelector']>;
type Requirement = NonNullable<NodeSelector['nodeSelectorTerms'][number]['matchFields']>[number];

/** What is written into the claim: its devices, how they are to be set up, and which nodes can use them. */
export function allocationOf(
  wanted: WantedClaim,
  picked: readonly Picked[],
  node: Node,
  classes: Lister<DeviceClass>,
): Allocation {
  const config = [...classConfigs(picked, classes), ...claimConfigs(wanted, picked)];
  const nodeSelector = nodesOf(picked, node);
  return {
    devices: { results: picked.map(resultOf), ...(config.length > 0 ? { config } : {}) },
    ...(nodeSelector ? { nodeSelector } : {}),
  };
}

function resultOf({ want, candidate, share }: Picked): DeviceResult {
  const { device, pool } = candidate;
  const { name, adminAccess, tolerations } = want;
  const shared = device.allowMultipleAllocations && !adminAccess;
  return {
    ...{ request: name, driver: pool.driver, pool: pool.name, device: device.name },
    ...(adminAccess ? { adminAccess } : {}),
    ...(tolerations.length > 0 ? { tolerations: [...tolerations] } : {}),
    ...(shared ? { shareID: randomUUID(), consumedCapacity: consumedCapacity(device, share) } : {}),
    ...bindingConditions(device),
  };
}

function bindingConditions({
  bindingConditions,
  bindingFailureConditions,
}: Picked['candidate']['device']): Partial<DeviceResult> {
  if (!bindingConditions?.length) return {};
  return {
    bindingConditions,
    ...(bindingFailureConditions?.length ? { bindingFailureConditions } : {}),
  };
}

/** A class's settings come once, for all requests that have been met from it. */
function classConfigs(picked: readonly Picked[], classes: Lister<DeviceClass>): DeviceConfig[] {
  const requests = new Map<string, Set<string>>();
  for (const { want } of picked) {
    const names = requests.get(want.className) ?? new Set();
    requests.set(want.className, names.add(want.name));
  }
  return [...requests].flatMap(([name, names]) =>
    (classes.get({ namespace: '', name })?.spec.config ?? []).map((config) => ({
      ...config,
      source: 'FromClass',
      requests: [...names],
    })),
  );
}

/** The claim's own settings, but for alternatives that were not taken. */
function claimConfigs({ claim }: WantedClaim, picked: readonly Picked[]): DeviceConfig[] {
  const met = new Set(picked.flatMap(({ want }) => [want.request, want.name]));
  return (claim.spec.devices?.config ?? [])
    .filter(({ requests = [] }) => requests.length === 0 || requests.some((one) => met.has(one)))
    .map((config) => ({ ...config, source: 'FromClaim' }));
}

/** Undefined: every node can use all of them. */
function nodesOf(picked: readonly Picked[], node: Node): NodeSelector | undefined {
  const matchExpressions: Requirement[] = [];
  const matchFields: Requirement[] = [];
  for (const { candidate } of picked) {
    const { nodeName, nodeSelector } = placeOf(candidate);
    if (nodeName || candidate.device.bindsToNode) return onlyOn(node);
    // The API server lets such a selector have one term only.
    const [term] = nodeSelector?.nodeSelectorTerms ?? [];
    add(matchExpressions, term?.matchExpressions);
    add(matchFields, term?.matchFields);
  }
  if (matchExpressions.length + matchFields.length === 0) return undefined;
  const term = {
    ...(matchExpressions.length > 0 ? { matchExpressions } : {}),
    ...(matchFields.length > 0 ? { matchFields } : {}),
  };
  return { nodeSelectorTerms: [term] };
}

function onlyOn({ metadata }: Node): NodeSelector {
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: [metadata.name] }];
  return { nodeSelectorTerms: [{ matchFields }] };
}

function add<T>(list: T[], more: readonly T[] = []): void {
  for (const one of more) {
    if (!list.some((known) => JSON.stringify(known) === JSON.stringify(one))) list.push(one);
  }
}
