import { describe, expect, it } from 'vitest';
import { formatQuantity } from './quantity.ts';
import { countedType, exceeded, inScope, quotaUsage, usedOf } from './quota.ts';
import type { ResourceQuota } from './types.ts';

const PODS = { group: '', resource: 'pods' };
const shown = (type: { group: string; resource: string }, object: unknown) =>
  Object.fromEntries([...quotaUsage(type, object)].map(([k, v]) => [k, formatQuantity(v)]));

const container = (requests?: object, limits?: object) => ({
  name: 'c',
  resources: { requests, limits },
});
const pod = (spec: object, status = {}) => ({
  metadata: { name: 'p', namespace: 'a' },
  spec: { containers: [], ...spec },
  status,
});

describe('quotaUsage', () => {
  it('sums up what a Pod asks for under each of its names', () => {
    const spec = {
      containers: [
        container({ cpu: '100m', 'x.io/gpu': '2' }, { memory: '1Gi' }),
        container({ cpu: '150m' }),
      ],
      initContainers: [container({ cpu: '2' })],
      overhead: { cpu: '10m', memory: '5Mi' },
    };
    expect(shown(PODS, pod(spec))).toEqual({
      'count/pods': '1',
      pods: '1',
      cpu: '2010m',
      'requests.cpu': '2010m',
      memory: '5Mi',
      'requests.memory': '5Mi',
      'requests.x.io/gpu': '2',
      'limits.memory': '1029Mi',
    });
  });

  it('counts a Pod that has ended only as an object', () => {
    expect(
      shown(PODS, pod({ containers: [container({ cpu: '1' })] }, { phase: 'Succeeded' })),
    ).toEqual({
      'count/pods': '1',
    });
  });

  it('adds sidecars to what runs beside them', () => {
    const sidecar = { ...container({ cpu: '1' }), restartPolicy: 'Always' };
    const spec = {
      initContainers: [sidecar, container({ cpu: '3' })],
      containers: [container({ cpu: '2' })],
    };
    expect(shown(PODS, pod(spec)).cpu).toBe('4');
  });

  it.each([
    [{ type: 'NodePort', ports: [{}, {}] }, { 'services.nodeports': '2' }],
    [
      { type: 'LoadBalancer', ports: [{}] },
      { 'services.nodeports': '1', 'services.loadbalancers': '1' },
    ],
    [
      { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{}] },
      { 'services.nodeports': '0', 'services.loadbalancers': '1' },
    ],
    [{ type: 'ClusterIP', ports: [{}] }, {}],
  ])('charges a Service %j', (spec, wanted) => {
    const type = { group: '', resource: 'services' };
    expect(shown(type, { metadata: {}, spec })).toEqual({
      services: '1',
      'count/services': '1',
      ...wanted,
    });
  });

  it('charges a claim to its class', () => {
    const type = { group: '', resource: 'persistentvolumeclaims' };
    const spec = { storageClassName: 'fast', resources: { requests: { storage: '1Gi' } } };
    expect(shown(type, { metadata: {}, spec })).toMatchObject({
      'requests.storage': '1Gi',
      'fast.storageclass.storage.k8s.io/requests.storage': '1Gi',
      'fast.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    });
  });

  it('counts objects of any group', () => {
    expect(shown({ group: 'apps', resource: 'deployments' }, {})).toEqual({
      'count/deployments.apps': '1',
    });
  });
});

describe('countedType', () => {
  it.each([
    ['count/deployments.apps', { group: 'apps', resource: 'deployments' }],
    ['secrets', { group: '', resource: 'secrets' }],
    ['services.nodeports', { group: '', resource: 'services' }],
    ['requests.storage', { group: '', resource: 'persistentvolumeclaims' }],
    ['requests.nvidia.com/gpu', PODS],
    ['limits.memory', PODS],
    [
      'gpus.deviceclass.resource.k8s.io/devices',
      { group: 'resource.k8s.io', resource: 'resourceclaims' },
    ],
    ['nonsense', undefined],
  ])('%s', (name, type) => expect(countedType(name)).toEqual(type));
});

describe('inScope', () => {
  const quota = (spec: object) => ({ metadata: {}, spec }) as unknown as ResourceQuota;
  const cpu = [container({ cpu: '1' })];
  it.each([
    ['Terminating', pod({ activeDeadlineSeconds: 5 }), true],
    ['Terminating', pod({}), false],
    ['NotTerminating', pod({}), true],
    ['BestEffort', pod({ containers: [container()] }), true],
    ['BestEffort', pod({ containers: cpu }), false],
    ['NotBestEffort', pod({ containers: cpu }), true],
  ])('%s', (scope, object, wanted) =>
    expect(inScope(quota({ scopes: [scope] }), PODS, object)).toBe(wanted),
  );

  it('selects by priority class', () => {
    const term = { scopeName: 'PriorityClass', operator: 'In', values: ['high'] };
    const one = quota({ scopeSelector: { matchExpressions: [term] } });
    expect(inScope(one, PODS, pod({ priorityClassName: 'high' }))).toBe(true);
    expect(inScope(one, PODS, pod({ priorityClassName: 'low' }))).toBe(false);
    expect(inScope(one, { group: '', resource: 'secrets' }, {})).toBe(false);
  });
});

describe('sums', () => {
  it('shows zero for what nothing uses, and tells what would be too much', () => {
    const usage = quotaUsage(PODS, pod({ containers: [container({ cpu: '600m' })] }));
    const hard = { pods: '2', cpu: '1', secrets: '3' };
    const used = usedOf(hard, [usage]);
    expect(used).toEqual({ pods: '1', cpu: '600m', secrets: '0' });
    expect(exceeded(hard, used, usage)).toEqual(['cpu']);
  });
});
