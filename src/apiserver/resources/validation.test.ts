import { describe, expect, test } from 'vitest';
import { builtinSchema } from '../../api/builtin-schema.ts';
import { decodeObject } from '../../api/decode.ts';
import type { KubeObject } from '../../api/types.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { builtinKinds } from './registry.ts';

const schema = builtinSchema();
const context = { user: { name: 'u', groups: [] }, dryRun: false, now: 0, warn: () => {} };

function kindOf(name: string): ResourceKind {
  const kind = builtinKinds().find((k) => k.kind === name);
  if (!kind) throw new Error(`no kind ${name}`);
  return kind;
}

/** The object as the server would hold it right before validation. */
function prepared(kind: ResourceKind, body: unknown): KubeObject {
  const { object } = decodeObject(body, { schema, definition: kind.definition });
  const out = object as KubeObject;
  kind.strategy.default?.(out);
  return out;
}

/** `FIELD: MESSAGE` of everything wrong with an object to be created. */
function created(name: string, body: Record<string, unknown>): string[] {
  const kind = kindOf(name);
  const object = prepared(kind, { metadata: { name: 'a', namespace: 'default' }, ...body });
  kind.strategy.prepareForCreate?.(object, context);
  return (kind.strategy.validate?.(object, context) ?? []).map((e) => `${e.field}: ${e.message}`);
}

/** The same for an update from one body to another. */
function updated(name: string, body: object, from: object): string[] {
  const kind = kindOf(name);
  const metadata = { name: 'a', namespace: 'default' };
  const old = prepared(kind, { metadata, ...from });
  kind.strategy.prepareForCreate?.(old, context);
  const object = prepared(kind, { metadata, ...body });
  kind.strategy.prepareForUpdate?.(object, old, context);
  const errors = kind.strategy.validateUpdate?.(object, old, context) ?? [];
  return errors.map((e) => `${e.field}: ${e.message}`);
}

const container = { name: 'web', image: 'web:1' };
const podSpec = { containers: [container] };

describe('Pod', () => {
  test.each([
    ['foo-', false],
    ['bar..', false],
    ['kernel.shmmax', true],
    ['net/ipv4/ip_local_port_range', true],
  ])('a sysctl may be called %s: %s', (name, isGood) => {
    const securityContext = { sysctls: [{ name, value: '1' }] };
    const errors = created('Pod', { spec: { ...podSpec, securityContext } });
    expect(errors.length === 0, errors.join()).toBe(isGood);
  });

  test('an ordinary Pod is good', () => {
    expect(
      created('Pod', {
        spec: {
          containers: [
            {
              ...container,
              ports: [{ name: 'http', containerPort: 80 }],
              env: [
                { name: 'A', value: '1' },
                { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              ],
              livenessProbe: { httpGet: { port: 'http' } },
              resources: { requests: { cpu: '100m' }, limits: { cpu: '1', memory: '1Gi' } },
              volumeMounts: [{ name: 'v', mountPath: '/v' }],
            },
          ],
          volumes: [{ name: 'v', emptyDir: {} }],
          tolerations: [{ operator: 'Exists' }],
        },
      }),
    ).toEqual([]);
  });

  test.each([
    [{ containers: [] }, ['spec.containers: Required value']],
    [{ containers: [{ name: 'a' }] }, ['spec.containers[0].image: Required value']],
    [{ containers: [container, container] }, ['spec.containers[1].name: Duplicate value: "web"']],
    [
      { containers: [{ ...container, ports: [{ containerPort: 70_000 }] }] },
      [
        'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      ],
    ],
    [
      {
        containers: [{ ...container, resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }],
      },
      [
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      ],
    ],
    [
      { containers: [{ ...container, volumeMounts: [{ name: 'x', mountPath: '/x' }] }] },
      ['spec.containers[0].volumeMounts[0].name: Not found: "x"'],
    ],
    [
      {
        containers: [
          { ...container, livenessProbe: { exec: { command: ['a'] }, tcpSocket: { port: 1 } } },
        ],
      },
      [
        'spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      ],
    ],
    [
      { ...podSpec, restartPolicy: 'Sometimes' },
      [
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      ],
    ],
    [
      { ...podSpec, volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/x' } }] },
      ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      { ...podSpec, tolerations: [{ key: 'a', operator: 'Exists', tolerationSeconds: 5 }] },
      [
        'spec.tolerations[0].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
      ],
    ],
    [{ ...podSpec, dnsConfig: { searches: ['.', 'sip.tcp.abc_d.example.com', '_x._tcp.a.'] } }, []],
    [
      { ...podSpec, dnsPolicy: 'None' },
      ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None'],
    ],
    [
      {
        ...podSpec,
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              {
                topologyKey: 'zone',
                labelSelector: { matchExpressions: [{ key: 'a', operator: 'Near' }] },
              },
            ],
          },
        },
      },
      [
        'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator',
      ],
    ],
  ])('%#: what is wrong is named', (spec, expected) => {
    expect(created('Pod', { spec })).toEqual(expected);
  });

  test('its image may change, its command may not', () => {
    const to = (change: object) => ({ spec: { containers: [{ ...container, ...change }] } });
    expect(updated('Pod', to({ image: 'web:2' }), to({}))).toEqual([]);
    const [first] = updated('Pod', to({ command: ['x'] }), to({}));
    expect(first).toContain(
      'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`',
    );
  });

  test('tolerations may be added, not changed', () => {
    const to = (...tolerations: object[]) => ({ spec: { ...podSpec, tolerations } });
    const a = { key: 'a', operator: 'Exists' };
    expect(updated('Pod', to(a, { key: 'b', operator: 'Exists' }), to(a))).toEqual([]);
    expect(updated('Pod', to({ key: 'b', operator: 'Exists' }), to(a))[0]).toContain(
      'existing toleration can not be modified except its tolerationSeconds',
    );
  });
});

const template = { metadata: { labels: { app: 'a' } }, spec: podSpec };
const selector = { matchLabels: { app: 'a' } };

describe('workloads', () => {
  test.each(['Deployment', 'ReplicaSet', 'DaemonSet', 'StatefulSet'])(
    'an ordinary %s is good',
    (kind) => {
      expect(created(kind, { spec: { selector, template } })).toEqual([]);
    },
  );

  test.each(['Deployment', 'ReplicaSet', 'DaemonSet', 'StatefulSet'])(
    'the selector of a %s must match its template',
    (kind) => {
      const body = { spec: { selector: { matchLabels: { app: 'b' } }, template } };
      expect(created(kind, body)).toEqual([
        'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
      ]);
    },
  );

  test.each(['Deployment', 'ReplicaSet', 'DaemonSet'])(
    'the selector of a %s never changes',
    (kind) => {
      const other = { matchLabels: { app: 'a', x: 'y' } };
      const labels = { app: 'a', x: 'y' };
      const to = { selector: other, template: { ...template, metadata: { labels } } };
      expect(updated(kind, { spec: to }, { spec: { selector, template } })[0]).toMatch(
        /^spec.selector: Invalid value: .*: field is immutable$/,
      );
    },
  );

  test('a StatefulSet keeps its service name', () => {
    const from = { spec: { selector, template, serviceName: 'a' } };
    const to = { spec: { selector, template, serviceName: 'b' } };
    expect(updated('StatefulSet', to, from)[0]).toContain(
      'spec: Forbidden: updates to statefulset spec for fields other than',
    );
  });

  test('negative replicas and a rolling update that can never move', () => {
    const strategy = { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } };
    expect(created('Deployment', { spec: { selector, template, replicas: -1, strategy } })).toEqual(
      [
        'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
      ],
    );
  });
});

describe('Service', () => {
  test.each([
    [{ ports: [{ port: 80 }] }, []],
    [{ clusterIP: 'None' }, []],
    [{ type: 'ExternalName', externalName: 'example.com' }, []],
    [{}, ['spec.ports: Required value']],
    [
      { ports: [{ port: 0 }] },
      [
        'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
        'spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
      ],
    ],
    [
      { ports: [{ port: 80 }, { port: 81 }] },
      ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
    ],
    [
      { ports: [{ port: 80, nodePort: 30_000 }] },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      { type: 'Other', ports: [{ port: 80 }] },
      [
        'spec.type: Unsupported value: "Other": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
  ])('%j', (spec, expected) => expect(created('Service', { spec })).toEqual(expected));

  test('keeps its address, which a writer may leave out', () => {
    const from = {
      spec: { ports: [{ port: 80 }], clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] },
    };
    expect(updated('Service', { spec: { ports: [{ port: 81 }] } }, from)).toEqual([]);
    const other = {
      spec: { ports: [{ port: 80 }], clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'] },
    };
    expect(updated('Service', other, from)).toEqual([
      'spec.clusterIPs[0]: Invalid value: "10.0.0.2": field is immutable',
    ]);
  });
});

describe('configuration', () => {
  test('keys of ConfigMaps and Secrets are file names', () => {
    expect(created('ConfigMap', { data: { 'a/b': '1' } })[0]).toContain(
      'data[a/b]: Invalid value: "a/b"',
    );
    expect(created('Secret', { data: { '..': '' } })).toEqual([
      'data[..]: Invalid value: "..": must not be \'..\'',
    ]);
  });

  test('a Secret of a known type has its keys, and keeps its type', () => {
    expect(created('Secret', { type: 'kubernetes.io/tls' })).toEqual([
      'data[tls.crt]: Required value',
      'data[tls.key]: Required value',
    ]);
    expect(updated('Secret', { type: 'a' }, { type: 'b' })).toEqual([
      'type: Invalid value: "a": field is immutable',
    ]);
  });

  test('what is immutable stays', () => {
    const from = { immutable: true, data: { a: '1' } };
    expect(updated('ConfigMap', { immutable: true, data: { a: '2' } }, from)).toEqual([
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
  });

  test('more than a mebibyte is too much', () => {
    expect(created('ConfigMap', { data: { a: 'x'.repeat(1024 * 1024 + 1) } })).toEqual([
      ': Too long: may not be more than 1048576 bytes',
    ]);
  });
});

test('an EndpointSlice holds addresses of its type', () => {
  const slice = { addressType: 'IPv4', endpoints: [{ addresses: ['::1'] }], ports: [{ port: 80 }] };
  expect(created('EndpointSlice', slice)).toEqual([
    'endpoints[0].addresses[0]: Invalid value: "::1": must be a valid IPv4 address',
  ]);
});

test('an Event lives in the namespace of its object', () => {
  const event = { involvedObject: { kind: 'Pod', name: 'a', namespace: 'other' } };
  expect(created('Event', event)).toEqual([
    'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
  ]);
});
