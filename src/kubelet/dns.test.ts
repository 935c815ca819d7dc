import { describe, expect, it } from 'vitest';
import { FakeEvents } from '../client/events.fake.ts';
import { type DnsOptions, podDns, tellDns } from './dns.ts';
import { podWith } from './pods.fake.ts';

const NODE = { servers: ['192.0.2.53'], searches: ['node.test'], options: ['rotate'] };
const dnsOf = (spec: Parameters<typeof podWith>[0], change: Partial<DnsOptions> = {}) =>
  podDns(podWith(spec), {
    ...{ node: NODE, nodeName: 'n', clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local' },
    ...change,
  });
const CLUSTER = {
  servers: ['10.96.0.10'],
  searches: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'node.test'],
  options: ['ndots:5'],
};

describe('podDns', () => {
  it.each([
    ['is the cluster’s unless a Pod says otherwise', {}, CLUSTER],
    ['is the node’s on its network', { hostNetwork: true }, NODE],
    [
      'is the cluster’s on its network where that is asked for',
      { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      CLUSTER,
    ],
    ['is the node’s by policy', { dnsPolicy: 'Default' }, NODE],
    [
      'is the Pod’s own',
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.1'], options: [{ name: 'x' }] } },
      { servers: ['192.0.2.1'], searches: [], options: ['x'] },
    ],
  ])('%s', (_, spec, config) => {
    expect(dnsOf(spec)).toEqual({ config, warnings: [] });
  });

  it('is the node’s, with a warning, where the kubelet knows none of the cluster', () => {
    const { config, warnings } = dnsOf({}, { clusterDns: [] });
    expect(config).toEqual(NODE);
    expect(warnings).toEqual([
      {
        reason: 'MissingClusterDNS',
        message: expect.stringMatching(
          /^pod: ".*_default\(.*\)"\. kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy\. Falling back to "Default" policy\.$/,
        ),
      },
    ]);
    expect(dnsOf({ hostNetwork: true }, { clusterDns: [] }).warnings).toEqual([]);
    const recorder = new FakeEvents();
    tellDns(recorder, podWith(), { warnings, nodeName: 'n' });
    expect(recorder.lines).toEqual([
      expect.stringMatching(/^Warning MissingClusterDNS n: kubelet does not have ClusterDNS IP/),
      expect.stringMatching(/^Warning MissingClusterDNS default\/.*: pod: /),
    ]);
  });

  it('searches nothing twice, and asks this machine where the node has no list for its Pods', () => {
    const node = { ...NODE, searches: ['cluster.local', 'node.test'] };
    expect(dnsOf({}, { node }).config).toEqual(CLUSTER);
    expect(dnsOf({}, { node: undefined }).config.searches).toEqual(CLUSTER.searches.slice(0, 3));
    const nobody = { servers: ['127.0.0.1'], searches: ['.'], options: [] };
    expect(dnsOf({ dnsPolicy: 'Default' }, { node: undefined }).config).toEqual(nobody);
  });

  it('leaves out a search path that no resolver takes, and says so', () => {
    const searches = ['first.test', 'x'.repeat(254), 'last.test'];
    const { config, warnings } = dnsOf({ dnsPolicy: 'Default' }, { node: { ...NODE, searches } });
    expect(config.searches).toEqual(['first.test', 'last.test']);
    expect(warnings.map(({ reason }) => reason)).toEqual(['DNSConfigForming']);
  });

  it('holds three servers and 32 search paths, and says what was left out', () => {
    const nameservers = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];
    const searches = Array.from({ length: 33 }, (_, i) => `s${i}`);
    const { config, warnings } = dnsOf({
      dnsPolicy: 'None',
      dnsConfig: { nameservers, searches },
    });
    expect(config.servers).toEqual(nameservers.slice(0, 3));
    expect(config.searches).toHaveLength(32);
    expect(warnings.map(({ reason, message }) => [reason, message.split(',')[0]])).toEqual([
      ['DNSConfigForming', 'Nameserver limits were exceeded'],
      ['DNSConfigForming', 'Search Line limits were exceeded'],
    ]);
  });
});
