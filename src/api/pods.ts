import { compareQuantities, parseQuantity, ZERO } from './quantity.ts';
import type { Container, Pod, PodSpec } from './types.ts';

type Condition = NonNullable<NonNullable<Pod['status']>['conditions']>[number];

export function podCondition(pod: Pod, type: string): Condition | undefined {
  return pod.status?.conditions?.find((c) => c.type === type);
}

/** The Ready condition is True: the Pod may receive traffic. */
export function isPodReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

/** Ready for at least `minReadySeconds`. `now` in milliseconds. */
export function isPodAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  const ready = podCondition(pod, 'Ready');
  if (ready?.status !== 'True') return false;
  if (minReadySeconds === 0) return true;
  const since = ready.lastTransitionTime ? Date.parse(ready.lastTransitionTime) : Number.NaN;
  return since + minReadySeconds * 1000 <= now;
}

/** Succeeded or Failed: no container will run again. */
export function isPodTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Neither finished nor being deleted. */
export function isPodActive(pod: Pod): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** An init container that keeps running beside the others (KEP-753). */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** A static Pod's shadow in the API server: only its node may change it. */
export function isMirrorPod(pod: Pod): boolean {
  return pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

/**
 * How the Pod's resources rank it when a node runs short: Guaranteed when every container limits cpu and memory and
 * requests as much, BestEffort when none asks for anything (core/v1 helper qos.ComputePodQOS).
 */
export function qosClassOf(spec: PodSpec): QosClass {
  const asks = spec.resources?.requests ?? spec.resources?.limits;
  const parts = asks
    ? [spec.resources ?? {}]
    : [...(spec.initContainers ?? []), ...spec.containers].map((c) => c.resources ?? {});
  const named = parts.some((p) => asksForCompute(p.requests) || asksForCompute(p.limits));
  if (!named) return 'BestEffort';
  const guaranteed = parts.every((p) =>
    COMPUTE.every((name) => {
      const limit = quantityIn(p.limits, name);
      const request = p.requests?.[name] === undefined ? limit : quantityIn(p.requests, name);
      return limit.nanos > 0n && compareQuantities(limit, request) === 0;
    }),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

const COMPUTE = ['cpu', 'memory'] as const;

function asksForCompute(list: Record<string, string> | undefined): boolean {
  return COMPUTE.some((name) => quantityIn(list, name).nanos > 0n);
}

function quantityIn(list: Record<string, string> | undefined, name: string) {
  const text = list?.[name];
  return text === undefined ? ZERO : parseQuantity(text);
}
