import { describe, expect, test } from 'vitest';
import { builtinSchema } from '../../api/builtin-schema.ts';
import { decodeObject } from '../../api/decode.ts';
import type { KubeObject } from '../../api/types.ts';
import { builtinKinds } from './registry.ts';

// What is refused, in upstream's words: kind, the object's content, `FIELD: MESSAGE` of each error.

const schema = builtinSchema();
const context = { user: { name: 'u', groups: [] }, dryRun: false, now: 0, warn: () => {} };

function refusals(name: string, body: object): string[] {
  const kind = builtinKinds().find((k) => k.kind === name);
  if (!kind) throw new Error(`no kind ${name}`);
  const metadata = { name: 'a', ...(kind.namespaced ? { namespace: 'default' } : {}) };
  const decoded = decodeObject({ metadata, ...body }, { schema, definition: kind.definition });
  const object = decoded.object as KubeObject;
  kind.strategy.default?.(object);
  kind.strategy.prepareForCreate?.(object, context);
  return (kind.strategy.validate?.(object, context) ?? []).map((e) => `${e.field}: ${e.message}`);
}

const container = { name: 'c', image: 'i' };
const pod = (spec: object, more: object = {}) => ({
  spec: { containers: [{ ...container, ...more }], ...spec },
});
const env = (fieldPath: string) =>
  pod({}, { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath } } }] });
const service = (spec: object) => ({ spec: { ports: [{ port: 80 }], ...spec } });
const job = (spec: object) => ({
  spec: { template: pod({ restartPolicy: 'Never' }), completions: 3, ...spec },
});
const indexed = (rules: object[]) => job({ completionMode: 'Indexed', successPolicy: { rules } });
const policy = (cidr: string, except: string) => ({
  spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr, except: [except] } }] }] },
});
const LABEL =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
const ENV = 'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath';
const REQUEST = 'spec.containers[0].resources';
const webhook = {
  name: 'a.b.c',
  clientConfig: { url: 'https://x/y' },
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
};

const CASES: [kind: string, body: object, ...errors: string[]][] = [
  [
    'Pod',
    env('spec.x'),
    `${ENV}: Invalid value: "spec.x": error converting fieldPath: field label not supported: spec.x`,
  ],
  [
    'Pod',
    env('status.phase'),
    `${ENV}: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"`,
  ],
  ['Pod', env('spec.host')],
  [
    'Pod',
    pod({ volumes: [{ name: 'v', emptyDir: { sizeLimit: '-1' } }] }),
    'spec.volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity',
  ],
  [
    'Pod',
    pod({}, { resources: { requests: { foo: '1' } } }),
    `${REQUEST}.requests[foo]: Invalid value: "foo": must be a standard resource type or fully qualified`,
    `${REQUEST}.requests[foo]: Invalid value: "foo": must be a standard resource for containers`,
  ],
  [
    'Pod',
    pod({}, { resources: { requests: { 'example.com/a': '1' } } }),
    `${REQUEST}.limits: Required value: Limit must be set for non overcommitable resources`,
  ],
  [
    'Pod',
    pod({ hostUsers: false, hostNetwork: true, hostPID: true }),
    'spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false',
    'spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false',
  ],
  [
    'Service',
    service({ externalIPs: ['127.0.0.1'] }),
    'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
  ],
  [
    'Service',
    service({ type: 'LoadBalancer', loadBalancerSourceRanges: [' 10.0.0.0/8', '1.2.3.4'] }),
    `spec.LoadBalancerSourceRanges[1]: Invalid value: "1.2.3.4": ${CIDR}`,
  ],
  [
    'Service',
    service({ trafficDistribution: 'Near' }),
    'spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
  ],
  [
    'NetworkPolicy',
    policy('10.0.0.0/8', '11.0.0.0/16'),
    'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
  ],
  [
    'NetworkPolicy',
    policy('10.0.0.0/8', '10.0.0.0/8'),
    'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
  ],
  ['NetworkPolicy', policy('10.0.0.0/8', '10.1.0.0/16')],
  [
    'NetworkPolicy',
    policy('10.0.0.0/33', '10.1.0.0/16'),
    `spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0/33": ${CIDR}`,
  ],
  [
    'Ingress',
    {
      spec: {
        defaultBackend: { service: { name: 's', port: { number: 80 } } },
        tls: [{ secretName: 'A!' }],
      },
    },
    `spec.tls[0].secretName: Invalid value: "A!": ${LABEL}`,
  ],
  [
    'Job',
    job({ successPolicy: { rules: [] } }),
    'spec.successPolicy: Invalid value: {"rules":[]}: requires indexed completion mode',
  ],
  [
    'Job',
    indexed([]),
    'spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified',
  ],
  [
    'Job',
    indexed([{}, { succeededIndexes: '0-9' }, { succeededIndexes: '2,1' }, { succeededCount: 4 }]),
    'spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified',
    'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "0-9": error parsing succeededIndexes: too large index: "9"',
    'spec.successPolicy.rules[2].succeededIndexes: Invalid value: "2,1": error parsing succeededIndexes: non-increasing order, current: 1, previous: 2',
    'spec.successPolicy.rules[3].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)',
  ],
  ['Job', indexed([{ succeededIndexes: '0,2', succeededCount: 1 }])],
  [
    'Job',
    job({ podReplacementPolicy: 'X', managedBy: 'x' }),
    'spec.podReplacementPolicy: Unsupported value: "X": supported values: "Failed", "TerminatingOrFailed"',
    'spec.managedBy: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")',
  ],
  [
    'ResourceQuota',
    { spec: { hard: { pods: '1.5', 'a b': '1' } } },
    'spec.hard[pods]: Invalid value: "1500m": must be an integer',
    "spec.hard[a b]: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
  ],
  [
    'ResourceQuota',
    { spec: { hard: { cpu: '1', pods: '1' }, scopes: ['BestEffort'] } },
    'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
  ],
  ['ResourceQuota', { spec: { hard: { cpu: '1', pods: '1' }, scopes: ['Terminating'] } }],
  [
    'LimitRange',
    { spec: { limits: [{ type: 'Container', maxLimitRequestRatio: { cpu: '0.5' } }] } },
    'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1',
  ],
  [
    'LimitRange',
    { spec: { limits: [{ type: 'PersistentVolumeClaim' }] } },
    'spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided',
  ],
  [
    'PersistentVolume',
    {
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path: '/' },
        persistentVolumeReclaimPolicy: 'Recycle',
      },
    },
    "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
  ],
  [
    'StorageClass',
    {
      provisioner: 'a/b',
      allowedTopologies: [{ matchLabelExpressions: [{ key: 'a', values: [] }] }],
    },
    'allowedTopologies[0].matchLabelExpressions[0].values: Required value',
  ],
  [
    'RoleBinding',
    {
      roleRef: { kind: 'Role', name: 'a' },
      subjects: [{ kind: 'ServiceAccount', name: 'A!', namespace: 'b' }],
    },
    `subjects[0].name: Invalid value: "A!": ${LABEL}`,
  ],
  [
    'MutatingWebhookConfiguration',
    { webhooks: [{ ...webhook, reinvocationPolicy: 'X' }] },
    'webhooks[0].reinvocationPolicy: Unsupported value: "X": supported values: "IfNeeded", "Never"',
  ],
  [
    'Node',
    { spec: { podCIDRs: ['10.0.0.0/24', '10.1.0.0/24'] } },
    'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: may specify no more than one CIDR for each IP family',
  ],
  [
    'Namespace',
    { spec: { finalizers: ['a'] } },
    'spec.finalizers: Invalid value: "a": name is neither a standard finalizer name nor is it fully qualified',
  ],
  ['EndpointSlice', { addressType: 'IPv4', endpoints: [], ports: [{ port: 80, appProtocol: '' }] }],
  [
    'PriorityLevelConfiguration',
    {
      spec: {
        type: 'Limited',
        limited: { borrowingLimitPercent: -1, limitResponse: { type: 'Reject' } },
      },
    },
    'spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer',
  ],
];

describe('what is wrong is told by field and reason:', () => {
  test.each(CASES)('%s %j', (kind, body, ...errors) => {
    expect(refusals(kind, body)).toEqual(errors);
  });
});
