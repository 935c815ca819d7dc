import type { Draft, EndpointSlice, OwnerReference } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import type { Endpoint, PortGroup } from './endpoints-of.ts';

/** What slices of one Service and address type have in common. */
export interface SliceFrame {
  readonly namespace: string;
  readonly generateName: string;
  readonly addressType: string;
  readonly labels: Record<string, string>;
  readonly owner: OwnerReference | undefined;
  readonly maxEndpoints: number;
}

/** The writes that make the existing slices hold the wished endpoints. */
export interface SlicePlan {
  readonly create: Draft<EndpointSlice>[];
  readonly update: EndpointSlice[];
  readonly delete: EndpointSlice[];
}

/**
 * As few writes as possible, then as few slices as possible: endpoints stay in their slice, new ones go into slices
 * that are written anyway, then into the one that they fill best, then into new ones (KEP-752). Pure.
 */
export function planSlices(
  frame: SliceFrame,
  groups: readonly PortGroup[],
  existing: readonly EndpointSlice[],
): SlicePlan {
  const plan: SlicePlan = { create: [], update: [], delete: [] };
  const byPorts = Map.groupBy(existing, (slice) => portsId(slice.ports ?? []));
  for (const group of groups) {
    const id = portsId(group.ports);
    planGroup(frame, group, byPorts.get(id) ?? [], plan);
    byPorts.delete(id);
  }
  const surplus = [...byPorts.values()].flat();
  if (groups.length > 0) plan.delete.push(...surplus);
  else planPlaceholder(frame, surplus, plan);
  return plan;
}

interface Filling {
  readonly slice: EndpointSlice;
  readonly endpoints: Endpoint[];
}

function planGroup(
  frame: SliceFrame,
  group: PortGroup,
  existing: readonly EndpointSlice[],
  plan: SlicePlan,
): void {
  const missing = new Map(group.endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const changed: Filling[] = [];
  const kept: Filling[] = [];
  for (const slice of existing) {
    const before = slice.endpoints ?? [];
    const after = takeWanted(before, missing);
    if (after.length === 0) plan.delete.push(slice);
    else {
      const same = jsonEqual(before, after) && isFramed(frame, slice);
      (same ? kept : changed).push({ slice, endpoints: after });
    }
  }
  for (const { endpoints } of changed.toSorted(fullestFirst)) fill(endpoints, missing, frame);
  while (missing.size > 0) {
    const target = bestFit(kept, missing.size, frame.maxEndpoints);
    if (target) {
      kept.splice(kept.indexOf(target), 1);
      changed.push(target);
      fill(target.endpoints, missing, frame);
    } else {
      const endpoints: Endpoint[] = [];
      fill(endpoints, missing, frame);
      plan.create.push(newSlice(frame, group, endpoints));
    }
  }
  plan.update.push(...changed.map(({ slice, endpoints }) => framed(frame, slice, endpoints)));
}

/** With no endpoint at all one empty slice stays, so that a reader can tell "none" from "not yet". */
function planPlaceholder(
  frame: SliceFrame,
  existing: readonly EndpointSlice[],
  plan: SlicePlan,
): void {
  const isEmpty = (slice: EndpointSlice) =>
    (slice.endpoints ?? []).length === 0 && (slice.ports ?? []).length === 0;
  const placeholder = existing.find(isEmpty);
  plan.delete.push(...existing.filter((slice) => slice !== placeholder));
  if (!placeholder) plan.create.push(newSlice(frame, { ports: [], endpoints: [] }, []));
  else if (!isFramed(frame, placeholder)) plan.update.push(framed(frame, placeholder, []));
}

/** The endpoints of a slice that are still wished, as they should be now; taken from `missing`. */
function takeWanted(before: readonly Endpoint[], missing: Map<string, Endpoint>): Endpoint[] {
  const after: Endpoint[] = [];
  for (const endpoint of before) {
    const id = identity(endpoint);
    const wanted = missing.get(id);
    if (!wanted) continue;
    missing.delete(id);
    after.push(wanted);
  }
  return after;
}

function fill(endpoints: Endpoint[], missing: Map<string, Endpoint>, frame: SliceFrame): void {
  for (const [id, endpoint] of missing) {
    if (endpoints.length >= frame.maxEndpoints) return;
    endpoints.push(endpoint);
    missing.delete(id);
  }
}

/** The untouched slice that is fullest and still takes all; none, when it takes a slice of their own anyway. */
function bestFit(kept: readonly Filling[], count: number, max: number): Filling | undefined {
  if (count >= max) return undefined;
  const fits = kept.filter(({ endpoints }) => endpoints.length + count <= max);
  return fits.toSorted(fullestFirst)[0];
}

function fullestFirst(a: Filling, b: Filling): number {
  return b.endpoints.length - a.endpoints.length;
}

/** One Pod's address, whatever its state. */
function identity({ addresses, targetRef }: Endpoint): string {
  return JSON.stringify([addresses, targetRef?.uid]);
}

function portsId(ports: readonly object[]): string {
  const parts = ports.map((p) => {
    const { name = '', port, protocol = 'TCP', appProtocol = '' } = p as Record<string, unknown>;
    return JSON.stringify([name, port, protocol, appProtocol]);
  });
  return parts.sort().join(',');
}

function isFramed({ labels, owner }: SliceFrame, { metadata }: EndpointSlice): boolean {
  const owners = owner ? [owner] : [];
  return (
    jsonEqual(metadata.labels ?? {}, labels) && jsonEqual(metadata.ownerReferences ?? [], owners)
  );
}

function framed(frame: SliceFrame, slice: EndpointSlice, endpoints: Endpoint[]): EndpointSlice {
  const ownerReferences = frame.owner ? [frame.owner] : [];
  const metadata = { ...slice.metadata, labels: frame.labels, ownerReferences };
  return { ...slice, metadata, endpoints };
}

function newSlice(
  frame: SliceFrame,
  group: PortGroup,
  endpoints: Endpoint[],
): Draft<EndpointSlice> {
  const { namespace, generateName, labels, owner, addressType } = frame;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, generateName, labels, ...(owner ? { ownerReferences: [owner] } : {}) },
    addressType,
    endpoints,
    ports: group.ports.map((port) => ({ ...port })),
  };
}
