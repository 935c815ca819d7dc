import { parseQuantity } from '../../api/quantity.ts';
import type { Container, Pod } from '../../api/types.ts';
import type { ClaimRequest } from './device-parts.ts';

/** Which request of the special claim gives a container its extended resource. */
export interface RequestMapping {
  readonly containerName: string;
  readonly resourceName: string;
  readonly requestName: string;
}

interface Member {
  readonly container: Container;
  /** Among all containers of the Pod, init containers first. */
  readonly index: number;
  /** Init containers that are no sidecars end before the others begin: these may use the same devices. */
  readonly short: boolean;
}

interface Part {
  readonly request: string;
  readonly count: number;
  readonly member: Member;
}

/** The requests that stand for what the containers of a Pod ask for of some extended resources (KEP-5004). */
export function extendedRequests(
  pod: Pod,
  resources: ReadonlyMap<string, string>,
): { requests: ClaimRequest[]; mappings: RequestMapping[] } {
  const init = (pod.spec?.initContainers ?? []).map((container) => ({
    ...{ container, short: container.restartPolicy !== 'Always' },
  }));
  const main = (pod.spec?.containers ?? []).map((container) => ({ container, short: false }));
  const members = [...init, ...main].map((member, index) => ({ ...member, index }));
  const requests: ClaimRequest[] = [];
  const mappings: RequestMapping[] = [];
  for (const [resource, className] of [...resources].sort()) {
    const made = forResource(members, resource);
    requests.push(...made.parts.map((part) => requestFor(part, className)));
    mappings.push(
      ...made.uses.map(({ container, request }) => ({
        containerName: container.name,
        resourceName: resource,
        requestName: request,
      })),
    );
  }
  return { requests: requests.sort((a, b) => (a.name < b.name ? -1 : 1)), mappings };
}

function requestFor({ request: name, count }: Part, deviceClassName: string): ClaimRequest {
  return { name, exactly: { deviceClassName, allocationMode: 'ExactCount', count } };
}

interface Uses {
  readonly parts: Part[];
  readonly uses: { container: Container; request: string }[];
}

/** Long-lived containers have a request each; those that end share one, for what they need beyond that. */
function forResource(members: readonly Member[], resource: string): Uses {
  const parts = members.flatMap((member) => (member.short ? [] : partOf(member, resource)));
  const uses = parts.map(({ member, request }) => ({ container: member.container, request }));
  const short = members.filter((member) => member.short).flatMap((m) => partOf(m, resource));
  const more = short.map(({ count, ...part }) => {
    const lent = borrowed(parts, part.member.index, count);
    return { ...part, lent, count: count - lent.reduce((sum, one) => sum + one.count, 0) };
  });
  const most = Math.max(0, ...more.map(({ count }) => count));
  const shared = more.find(({ count }) => count > 0 && count === most);
  for (const { member, lent, count } of more) {
    for (const { request } of lent) uses.push({ container: member.container, request });
    if (count > 0 && shared) uses.push({ container: member.container, request: shared.request });
  }
  return { parts: shared ? [shared, ...parts] : parts, uses };
}

function partOf(member: Member, resource: string): Part[] {
  const { requests = {} } = member.container.resources ?? {};
  const count = Number(parseQuantity(requests[resource] ?? '0').nanos / 1_000_000_000n);
  if (count === 0) return [];
  const at = Object.keys(requests).sort().indexOf(resource);
  return [{ member, count, request: `container-${member.index}-request-${at}` }];
}

/** Requests of containers that start later, as many as are needed. */
function borrowed(parts: readonly Part[], after: number, needed: number): Part[] {
  const out: Part[] = [];
  let sum = 0;
  for (const part of parts) {
    if (part.member.index < after || sum >= needed) continue;
    out.push(part);
    sum += part.count;
  }
  return out;
}
