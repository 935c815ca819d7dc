import { describe, expect, it } from 'vitest';
import type { Namespace, NetworkPolicy, Pod } from '../../api/types.ts';
import { type Isolation, isolations } from './isolation.ts';

const NODE = 'node-a';

function pod(name: string, ip: string, more: object = {}): Pod {
  const { namespace = 'default', nodeName = 'node-b', ...rest } = more as Record<string, string>;
  const container = { name: 'main', ports: [{ name: 'web', containerPort: 8080 }] };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: { nodeName, containers: [container], ...rest },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  } as unknown as Pod;
}

function namespace(name: string, team: string): Namespace {
  return { metadata: { name, labels: { team } } } as unknown as Namespace;
}

function policy(spec: object, name = 'p'): NetworkPolicy {
  return {
    metadata: { name, namespace: 'default' },
    spec: { podSelector: { matchLabels: { app: 'db' } }, ...spec },
  } as unknown as NetworkPolicy;
}

const db = pod('db', '10.244.0.5', { nodeName: NODE });
const other = pod('web', '10.244.1.7', { namespace: 'other' });
const otherDb = pod('db', '10.244.1.8', { namespace: 'other', containers: [named(9090)] });
const PODS = [db, pod('web', '10.244.1.6'), other, otherDb];
const NAMESPACES = [namespace('default', 'one'), namespace('other', 'two')];

function named(containerPort: number) {
  return { name: 'main', ports: [{ name: 'web', containerPort }] };
}

function judge(policies: NetworkPolicy[], pods: readonly Pod[] = PODS): Isolation[] {
  return isolations({ policies, pods, namespaces: NAMESPACES, nodeName: NODE });
}

/** What the one policy lets the one Pod of this node do. */
function allowances(spec: object, direction: 'Ingress' | 'Egress' = 'Ingress') {
  const found = judge([policy(spec)]).find((isolation) => isolation.direction === direction);
  return found?.allowances;
}

describe('isolations', () => {
  it('isolates nobody without a policy, and nobody whom none selects', () => {
    expect(judge([])).toEqual([]);
    expect(judge([policy({ podSelector: { matchLabels: { app: 'nobody' } } })])).toEqual([]);
  });

  it.each<[string, object, string[]]>([
    ['no types and no egress rule: ingress', {}, ['Ingress']],
    ['no types and an egress rule: both', { egress: [{}] }, ['Ingress', 'Egress']],
    ['the types that are named', { policyTypes: ['Egress'] }, ['Egress']],
  ])('isolates in the right directions: %s', (_what, spec, directions) => {
    expect(judge([policy(spec)]).map(({ direction }) => direction)).toEqual(directions);
  });

  it('selects every Pod of the namespace by an empty selector, of this node and with an address', () => {
    const second = pod('web', '10.244.0.6', { nodeName: NODE });
    const foreign = pod('web', '10.244.0.7', { nodeName: NODE, namespace: 'other' });
    const host = {
      ...pod('host', '192.0.2.1'),
      spec: { nodeName: NODE, hostNetwork: true },
    } as Pod;
    const done = {
      ...pod('done', '10.244.0.9', { nodeName: NODE }),
      status: { phase: 'Succeeded' },
    } as Pod;
    const found = judge([policy({ podSelector: {} })], [...PODS, second, foreign, host, done]);
    expect(found).toEqual([
      { direction: 'Ingress', targets: ['10.244.0.5', '10.244.0.6'], allowances: [] },
    ]);
  });

  it.each<[string, object, object[]]>([
    ['no rules', {}, []],
    ['an empty rule', { ingress: [{}] }, [{}]],
    [
      'Pods of its own namespace',
      { ingress: [{ from: [{ podSelector: {} }] }] },
      [{ peers: ['10.244.0.5', '10.244.1.6'] }],
    ],
    [
      'Pods of other namespaces',
      { ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'two' } } }] }] },
      [{ peers: ['10.244.1.7', '10.244.1.8'] }],
    ],
    [
      'some Pods of all namespaces',
      {
        ingress: [
          { from: [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'web' } } }] },
        ],
      },
      [{ peers: ['10.244.1.6', '10.244.1.7'] }],
    ],
    [
      'either of two peers',
      {
        ingress: [
          {
            from: [
              {
                podSelector: {
                  matchExpressions: [{ key: 'app', operator: 'In', values: ['web'] }],
                },
              },
              { ipBlock: { cidr: '192.0.2.0/30', except: ['192.0.2.0/31'] } },
            ],
          },
        ],
      },
      [{ peers: ['10.244.1.6', '192.0.2.2/31'] }],
    ],
    [
      'peers that nobody is',
      { ingress: [{ from: [{ podSelector: { matchLabels: { app: 'nobody' } } }] }] },
      [],
    ],
    ['a port', { ingress: [{ ports: [{ port: 80 }] }] }, [{ ports: [span('TCP', 80)] }]],
    [
      'ports that touch, of several protocols',
      {
        ingress: [
          {
            ports: [
              { port: 81, endPort: 90 },
              { port: 80, protocol: 'TCP' },
              { port: 53, protocol: 'UDP' },
              { protocol: 'SCTP' },
            ],
          },
        ],
      },
      [{ ports: [span('TCP', 80, 90), span('UDP', 53), { protocol: 'SCTP' }] }],
    ],
    [
      'a port by name',
      { ingress: [{ ports: [{ port: 'web' }] }] },
      [{ ports: [span('TCP', 8080)] }],
    ],
    ['a name that is no port', { ingress: [{ ports: [{ port: 'none' }] }] }, []],
    [
      'a name of another protocol',
      { ingress: [{ ports: [{ port: 'web', protocol: 'UDP' }] }] },
      [],
    ],
  ])('lets in by %s', (_what, spec, expected) => {
    expect(allowances(spec)).toEqual(expected);
  });

  it("lets out by each peer's own number of a named port", () => {
    const to = [{ namespaceSelector: {} }];
    const spec = {
      policyTypes: ['Egress'],
      egress: [{ to, ports: [{ port: 'web' }, { port: 53 }] }],
    };
    expect(allowances(spec, 'Egress')).toEqual([
      { peers: ['10.244.0.5', '10.244.1.6', '10.244.1.7', '10.244.1.8'], ports: [span('TCP', 53)] },
      { peers: ['10.244.0.5', '10.244.1.6', '10.244.1.7'], ports: [span('TCP', 8080)] },
      { peers: ['10.244.1.8'], ports: [span('TCP', 9090)] },
    ]);
  });

  it('adds up several policies, and the widest hides the others', () => {
    const narrow = policy({ ingress: [{ ports: [{ port: 80 }] }] }, 'narrow');
    const more = policy({ ingress: [{ ports: [{ port: 81 }] }] }, 'more');
    expect(judge([narrow, more])[0]?.allowances).toEqual([
      { ports: [span('TCP', 80)] },
      { ports: [span('TCP', 81)] },
    ]);
    const wide = policy({ ingress: [{}] }, 'wide');
    expect(judge([narrow, wide])[0]?.allowances).toEqual([{}]);
  });

  it('gives an address to the Pod that stays, not to one that is being deleted', () => {
    const leaving = pod('old', '10.244.0.5', { nodeName: NODE });
    const metadata = { ...leaving.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
    const old = { ...leaving, metadata } as Pod;
    const selectsOld = policy({ podSelector: { matchLabels: { app: 'old' } } }, 'for-old');
    expect(judge([selectsOld], [old])[0]?.targets).toEqual(['10.244.0.5']);
    expect(judge([selectsOld], [old, db])).toEqual([]);
  });
});

function span(protocol: string, from: number, to = from) {
  return { protocol, from, to };
}
