import { describe, expect, it } from 'vitest';
import type { EndpointSlice, Namespace, NetworkPolicy, Pod, Service } from '../../api/types.ts';
import { diagnoseService, type ServiceFacts } from './diagnose-service.ts';
import { render } from './findings.ts';

type Fields = Record<string, unknown>;
const ready = { conditions: [{ type: 'Ready', status: 'True' }], podIP: '10.244.0.5' };
const pod = (name: string, status: Fields, labels: Fields = { app: 'web' }, namespace = 'shop') =>
  ({
    metadata: { name, namespace, labels },
    spec: { containers: [{ ports: [{ name: 'http', containerPort: 8080 }] }] },
    status,
  }) as unknown as Pod;
const service = {
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    clusterIP: '10.96.1.2',
    selector: { app: 'web' },
    ports: [{ port: 80, targetPort: 'http' }],
  },
} as unknown as Service;
const slice = (ports: Fields[]) =>
  ({
    ports,
    endpoints: [{ addresses: ['10.244.0.5'], conditions: { ready: true } }],
  }) as unknown as EndpointSlice;
const policy = (name: string, spec: Fields, namespace = 'shop') =>
  ({ metadata: { name, namespace }, spec }) as unknown as NetworkPolicy;
const namespace = (name: string) =>
  ({ metadata: { name, labels: { 'kubernetes.io/metadata.name': name } } }) as unknown as Namespace;

const RULES =
  ':KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -d 10.96.1.2/32\n-A KUBE-SEP-X --to-destination 10.244.0.5:8080';
const whole: ServiceFacts = {
  service,
  pods: [pod('web-1', ready)],
  slices: [slice([{ name: '', port: 8080 }])],
  rules: RULES,
  policies: [],
  namespaces: [namespace('shop'), namespace('office')],
  makers: [],
  tried: new Map([
    ['10.244.0.5:8080', undefined],
    ['10.96.1.2:80', undefined],
  ]),
  dns: ['10.96.1.2'],
};
const last = (change: Partial<ServiceFacts>) => diagnoseService({ ...whole, ...change }).at(-1);

describe('diagnoseService stops where the way of a connection ends', () => {
  const tried = (address: string, how: string) => new Map([...whole.tried, [address, how]]);
  const cases: [string, Partial<ServiceFacts>, string, RegExp][] = [
    ['no Pod', { pods: [] }, 'selector', /no Pod of shop has the labels app=web/],
    ['a maker without Pods', { pods: [], makers: ['web'] }, 'pods', /^web is to make Pods/],
    ['no ready Pod', { pods: [pod('web-1', {})] }, 'pods', /none of 1 is ready/],
    ['no endpoint', { slices: [] }, 'endpoints', /no ready endpoint/],
    ['no such port', { slices: [slice([])] }, 'endpoints', /no Pod has the port http/],
    [
      'a Pod that does not listen',
      { tried: tried('10.244.0.5:8080', 'refuses connections') },
      'containers',
      /10\.244\.0\.5:8080 refuses connections: nothing in the Pod listens/,
    ],
    [
      'a node that is out of reach',
      { tried: tried('10.244.0.5:8080', 'does not answer') },
      'network',
      /does not answer: no way to its node/,
    ],
    ['no rule', { rules: '' }, 'proxy', /no rule for 10\.96\.1\.2/],
    ['a rule of another', { rules: RULES.replace('1.2/', '1.20/') }, 'proxy', /no rule for/],
    [
      'rules that nothing leads to',
      { rules: RULES.replace('-A KUBE-SERVICES', '-A KUBE-SVC-X') },
      'proxy',
      /no rule for/,
    ],
    ['old rules', { rules: RULES.replace('0.5:', '0.50:') }, 'proxy', /lead to none .* is behind/],
    [
      'rules of others in the way',
      { tried: tried('10.96.1.2:80', 'does not answer') },
      'proxy',
      /endpoints answer this node, but 10\.96\.1\.2:80 does not answer/,
    ],
    ['no answer of DNS', { dns: 'no answer' }, 'dns', /web\.shop\.svc: no answer/],
    ['another answer of DNS', { dns: ['10.96.1.3'] }, 'dns', /is 10\.96\.1\.3, and it is 10/],
  ];
  it.each(cases)('with %s', (_, change, about, what) => {
    expect(last(change)).toMatchObject({ about, ok: false, what: expect.stringMatching(what) });
    expect(last(change)?.next).toBeTruthy();
  });

  it('finds nothing with one that is connected', () => {
    const findings = diagnoseService(whole);
    expect(findings.every(({ ok }) => ok)).toBe(true);
    expect(findings.map(({ about }) => about)).toEqual([
      ...['selector', 'pods', 'endpoints', 'policy', 'containers', 'proxy', 'connection', 'dns'],
    ]);
    expect(render(findings)).toMatch(/^ok {5}selector {4}app=web chooses 1 Pods\n/);
  });

  it('misses the address of a load balancer that nobody gives', () => {
    const spec = { ...service.spec, type: 'LoadBalancer' };
    expect(last({ service: { ...service, spec } as Service })).toMatchObject({
      about: 'load balancer',
      ok: false,
    });
  });

  it('says what an alias is', () => {
    const spec = { type: 'ExternalName', externalName: 'example.org' };
    expect(last({ service: { ...service, spec } as Service })?.what).toMatch(/alias for example/);
  });
});

describe('the policies of a connection', () => {
  const clerk = pod('clerk', { podIP: '10.244.1.7' }, { role: 'clerk' }, 'office');
  const all = { podSelector: {}, policyTypes: ['Ingress'] };
  const from = (...peers: Fields[]) => policy('web', { ...all, ingress: [{ from: peers }] });
  const inOffice = { matchLabels: { 'kubernetes.io/metadata.name': 'office' } };
  const clerks = { matchLabels: { role: 'clerk' } };
  const cases: [string, NetworkPolicy[], boolean][] = [
    ['that let nobody in', [policy('web', all)], false],
    ['that let all in', [policy('web', { ...all, ingress: [{}] })], true],
    ['of other Pods', [policy('web', { ...all, podSelector: clerks })], true],
    ['of another namespace', [policy('web', all, 'office')], true],
    ['that let only its own namespace in', [from({ podSelector: {} })], false],
    ['that let its namespace in', [from({ namespaceSelector: inOffice })], true],
    ['that let others of it in', [from({ namespaceSelector: inOffice, podSelector: {} })], true],
    [
      'that let others of that namespace in',
      [from({ namespaceSelector: inOffice, podSelector: { matchLabels: { role: 'boss' } } })],
      false,
    ],
    ['that let its address in', [from({ ipBlock: { cidr: '10.244.1.0/24' } })], true],
    [
      'that leave its address out',
      [from({ ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.1.0/24'] } })],
      false,
    ],
    ['of which another lets it in', [policy('a', all), from({ namespaceSelector: {} })], true],
    [
      'of its own that keep it in',
      [policy('e', { podSelector: {}, policyTypes: ['Egress'] }, 'office')],
      false,
    ],
    [
      'of its own that let it out',
      [policy('e', { podSelector: {}, egress: [{}] }, 'office')],
      true,
    ],
  ];
  it.each(cases)('%s', (_, policies, passes) => {
    const policyOf = diagnoseService({ ...whole, policies, from: clerk }).find(
      ({ about }) => about === 'policy',
    );
    expect(policyOf?.ok).toBe(passes);
    if (!passes) expect(policyOf?.what).toMatch(/^NetworkPolicies \w+ let .*clerk/);
  });

  it.each([
    [{ port: 8080 }, true],
    [{ port: 'http' }, true],
    [{ port: 8000, endPort: 8100 }, true],
    [{ port: 80 }, false],
    [{ port: 8080, protocol: 'UDP' }, false],
  ])('count the port of the Pod: %o', (port, passes) => {
    const policies = [policy('web', { ...all, ingress: [{ ports: [port] }] })];
    const found = last({ policies });
    expect(found?.about === 'policy').toBe(!passes);
    if (!passes) expect(found?.what).toMatch(/let nobody in to port 8080 of web-1/);
  });
});
