import { milliValue, parseQuantity, wholeValue } from '../api/quantity.ts';
import type { Container, Pod } from '../api/types.ts';

/** What only the node knows of a pod while its containers are being made. */
export interface PodFacts {
  hostIps: readonly string[];
  podIps: readonly string[];
}

const SUBSCRIPT = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/** The text of a `fieldRef`; throws when the path is none that the downward API serves. */
export function fieldValue(pod: Pod, path: string, facts: PodFacts): string {
  const subscript = SUBSCRIPT.exec(path);
  if (subscript) {
    const map = subscript[1] === 'labels' ? pod.metadata.labels : pod.metadata.annotations;
    return map?.[subscript[2] ?? ''] ?? '';
  }
  const read = FIELDS[path];
  if (!read) throw new Error(`unsupported fieldPath: ${path}`);
  return read(pod, facts);
}

const FIELDS: Record<string, (pod: Pod, facts: PodFacts) => string> = {
  'metadata.name': (pod) => pod.metadata.name,
  'metadata.namespace': (pod) => pod.metadata.namespace,
  'metadata.uid': (pod) => pod.metadata.uid,
  'metadata.labels': (pod) => formatMap(pod.metadata.labels),
  'metadata.annotations': (pod) => formatMap(pod.metadata.annotations),
  'spec.nodeName': (pod) => pod.spec?.nodeName ?? '',
  'spec.serviceAccountName': (pod) => pod.spec?.serviceAccountName ?? '',
  'status.hostIP': (_pod, facts) => facts.hostIps[0] ?? '',
  'status.hostIPs': (_pod, facts) => facts.hostIps.join(','),
  'status.podIP': (_pod, facts) => facts.podIps[0] ?? '',
  'status.podIPs': (_pod, facts) => facts.podIps.join(','),
};

/** One `key="value"` per line, sorted; values are quoted as Go quotes them. */
function formatMap(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

export interface ResourceRef {
  resource: string;
  divisor?: string | undefined;
}

/** A container's request or limit in units of the divisor, rounded up; without a limit, what the node can give. */
export function resourceValue(
  container: Container,
  { resource, divisor }: ResourceRef,
  allocatable: Readonly<Record<string, string>>,
): string {
  const [kind, name] = splitResource(resource);
  const own = kind === 'limits' ? container.resources?.limits : container.resources?.requests;
  const fallback = kind === 'limits' ? allocatable[name] : '0';
  const quantity = parseQuantity(own?.[name] ?? fallback ?? '0');
  const unit = parseQuantity(divisor === undefined || divisor === '0' ? '1' : divisor);
  if (name === 'cpu') return String(Math.ceil(milliValue(quantity) / milliValue(unit)));
  return String(Math.ceil(wholeValue(quantity) / wholeValue(unit)));
}

function splitResource(resource: string): ['limits' | 'requests', string] {
  const dot = resource.indexOf('.');
  const kind = resource.slice(0, dot);
  if (kind !== 'limits' && kind !== 'requests') {
    throw new Error(`unsupported container resource : ${resource}`);
  }
  return [kind, resource.slice(dot + 1)];
}
