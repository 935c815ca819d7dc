import type { Pod } from '../api/types.ts';
import { type AffinityTerm, compileTerm, type WeightedTerm } from './affinity-terms.ts';
import type { Toleration } from './parts.ts';
import { podNonZeroRequests, podRequests, type Resources } from './resources.ts';
import type { Labels } from './selectors.ts';

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

const NO_LABELS: Labels = {};
const NO_TOLERATIONS: readonly Toleration[] = [];

/** A Pod with everything that scheduling asks of it again and again, worked out once. Never changes. */
export class PodInfo {
  readonly pod: Pod;
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly priority: number;
  readonly tolerations: readonly Toleration[];
  readonly requests: Resources;
  /** Requests with defaults for what is not named; for scores. */
  readonly nonZero: Resources;
  readonly hostPorts: readonly HostPort[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  /** Preferred affinity, and preferred anti-affinity with a negative weight. */
  readonly wishes: readonly WeightedTerm[];

  constructor(pod: Pod) {
    const spec = pod.spec;
    this.pod = pod;
    this.namespace = pod.metadata.namespace;
    this.key = `${pod.metadata.namespace}/${pod.metadata.name}`;
    this.uid = pod.metadata.uid;
    this.labels = pod.metadata.labels ?? NO_LABELS;
    this.priority = spec?.priority ?? 0;
    this.tolerations = spec?.tolerations ?? NO_TOLERATIONS;
    this.requests = podRequests(pod);
    this.nonZero = podNonZeroRequests(pod);
    this.hostPorts = hostPortsOf(pod);
    const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
    const required = 'requiredDuringSchedulingIgnoredDuringExecution';
    const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
    const compile = (term: Parameters<typeof compileTerm>[0]) => compileTerm(term, pod);
    this.requiredAffinity = (podAffinity?.[required] ?? []).map(compile);
    this.requiredAntiAffinity = (podAntiAffinity?.[required] ?? []).map(compile);
    const weighted = (terms: NonNullable<typeof podAffinity>[typeof preferred], sign: number) =>
      (terms ?? []).map((t) => ({ weight: sign * t.weight, term: compile(t.podAffinityTerm) }));
    this.wishes = [
      ...weighted(podAffinity?.[preferred], 1),
      ...weighted(podAntiAffinity?.[preferred], -1),
    ];
  }

  /** The node the Pod is bound to, assumed to be on, or empty. */
  get nodeName(): string {
    return this.pod.spec?.nodeName ?? '';
  }

  get hasAffinity(): boolean {
    return (
      this.requiredAffinity.length > 0 ||
      this.requiredAntiAffinity.length > 0 ||
      this.wishes.length > 0
    );
  }

  /** The same Pod as if it were bound to `nodeName`. */
  on(nodeName: string): PodInfo {
    const moved: PodInfo = Object.create(PodInfo.prototype);
    const pod = { ...this.pod, spec: { ...this.pod.spec, nodeName } } as Pod;
    return Object.assign(moved, this, { pod });
  }
}

/** True when the Pod has ended and holds nothing of its node any more. */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function hostPortsOf(pod: Pod): HostPort[] {
  const containers = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'),
  ];
  return containers.flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => (port.hostPort ?? 0) > 0)
      .map((port) => ({
        ip: port.hostIP || '0.0.0.0',
        protocol: port.protocol || 'TCP',
        port: port.hostPort ?? 0,
      })),
  );
}
