import { describe, expect, it } from 'vitest';
import { defaultPod } from '../../../api/pod-defaults.ts';
import type { Pod, PodSpec } from '../../../api/types.ts';
import { takeResizes, validatePodResize } from './pod-resize.ts';

type Fields = Record<string, unknown>;

const HALF = {
  requests: { cpu: '100m', memory: '64Mi' },
  limits: { cpu: '200m', memory: '64Mi' },
};

/** A Burstable Pod of two containers, an init container and a sidecar. */
function burstable(spec: Fields = {}): Pod {
  const container = (name: string, fields: Fields = {}): Fields => ({
    ...{ name, image: 'a', resources: structuredClone(HALF) },
    ...fields,
  });
  const pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' } },
    spec: {
      initContainers: [container('init'), container('side', { restartPolicy: 'Always' })],
      containers: [container('a'), container('b')],
      ...spec,
    },
  } as unknown as Pod;
  defaultPod(pod);
  return pod;
}

/** What is wrong with a request, made of the Pod that there is. */
function refusals(old: Pod, change: (spec: PodSpec) => void): string[] {
  const pod = structuredClone(old);
  if (!pod.spec || !old.spec) return [];
  const asked = structuredClone(pod.spec);
  change(asked);
  takeResizes(pod.spec, asked);
  return validatePodResize(pod, old).map(
    // Without `Forbidden` or `Invalid value`.
    ({ field, message }) => `${field}: ${message.split(': ').at(-1)}`,
  );
}

const resourcesOf = (spec: PodSpec, index: number, role: 'containers' | 'initContainers') =>
  spec[role]?.[index]?.resources ?? {};
const set =
  (index: number, resources: Fields, role: 'containers' | 'initContainers' = 'containers') =>
  (spec: PodSpec) =>
    void Object.assign(resourcesOf(spec, index, role), resources);

describe('validatePodResize', () => {
  it.each<[string, (spec: PodSpec) => void]>([
    ['of a container', set(0, { requests: { cpu: '150m', memory: '32Mi' } })],
    ['of a sidecar', set(1, { limits: { cpu: '1', memory: '64Mi' } }, 'initContainers')],
    ['of nothing', () => {}],
    [
      'beside what only an update could change',
      (spec) => Object.assign(spec, { hostNetwork: true, nodeName: 'other' }),
    ],
  ])('takes other amounts %s', (_what, change) => {
    expect(refusals(burstable(), change)).toEqual([]);
  });

  it.each<[string, (spec: PodSpec) => void, string]>([
    [
      'a limit that goes',
      set(0, { limits: { cpu: '200m' } }),
      'spec.containers[0].resources.limits: resource limits cannot be removed',
    ],
    [
      'a request that goes',
      set(1, { requests: { cpu: '100m' } }),
      'spec.containers[1].resources.requests: resource requests cannot be removed',
    ],
    [
      'what an init container asks for',
      set(0, { requests: { cpu: '1m', memory: '1Mi' } }, 'initContainers'),
      'spec.initContainers[0].resources: resources for non-sidecar init containers are immutable',
    ],
    [
      'other resources',
      set(0, { limits: { ...HALF.limits, 'ephemeral-storage': '1Gi' } }),
      'spec: only cpu and memory resources are mutable',
    ],
    [
      'another policy',
      (spec) =>
        void Object.assign(spec.containers[0] ?? {}, {
          resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }],
        }),
      'spec: only cpu and memory resources are mutable',
    ],
    [
      'containers that are added',
      (spec) => void spec.containers.push({ name: 'c', image: 'a' }),
      'spec.containers: containers may not be added or removed on resize',
    ],
  ])('refuses %s', (_what, change, refusal) => {
    expect(refusals(burstable(), change)).toContain(refusal);
  });

  it('refuses containers in another order, and says so of each', () => {
    expect(refusals(burstable(), (spec) => void spec.containers.reverse())).toEqual([
      'spec.containers[0].name: containers may not be renamed or reordered on resize',
      'spec.containers[1].name: containers may not be renamed or reordered on resize',
    ]);
  });

  it.each<[string, Pod, Fields]>([
    [
      'BestEffort',
      burstable({ initContainers: [], containers: [{ name: 'a', image: 'a' }] }),
      HALF,
    ],
    [
      'Burstable',
      burstable({ initContainers: [], containers: [{ name: 'a', image: 'a', resources: HALF }] }),
      { limits: HALF.limits, requests: HALF.limits },
    ],
  ])('keeps a Pod %s', (_class, pod, resources) => {
    const change = (spec: PodSpec): void => {
      Object.assign(spec.containers[0] ?? {}, { resources });
    };
    const detail = 'spec: Pod QOS Class may not change as a result of resizing';
    expect(refusals(pod, change)).toContain(detail);
  });

  it.each<[string, (pod: Pod) => object, string]>([
    [
      'of a static Pod',
      (pod) => Object.assign(pod.metadata, { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
      ': static pods cannot be resized',
    ],
    [
      'on a kubelet that does not tell resources',
      (pod) =>
        Object.assign(pod, {
          status: { containerStatuses: [{ name: 'a', state: { running: {} } }] },
        }),
      'spec: Pod running on node without support for resize',
    ],
  ])('refuses a resize %s', (_what, change, refusal) => {
    const pod = burstable();
    change(pod);
    expect(refusals(pod, () => {})).toEqual([refusal]);
  });

  it('lets the Pod as a whole have other amounts, and keeps what it asks for by name', () => {
    const resources = { requests: { cpu: '1' }, limits: { cpu: '2', memory: '1Gi' } };
    const pod = burstable({ resources });
    const asks = (wanted: Fields | undefined) => (spec: PodSpec) =>
      void Object.assign(spec, { resources: wanted });
    expect(refusals(pod, asks({ ...resources, limits: { cpu: '4', memory: '2Gi' } }))).toEqual([]);
    const { requests } = pod.spec?.resources ?? {};
    expect(refusals(pod, asks({ requests, limits: { cpu: '2' } }))).toContain(
      'spec.resources.limits: pod-level resource limits cannot be removed',
    );
    expect(refusals(pod, asks(undefined))).toContain(
      'spec.resources: pod-level resources cannot be removed',
    );
  });
});
