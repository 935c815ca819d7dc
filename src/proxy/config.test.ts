import { describe, expect, it } from 'vitest';
import { DEFAULTS, parseDuration, proxyConfiguration } from './config.ts';

const HEAD = { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration' };

describe('proxyConfiguration', () => {
  it('fills in the defaults', () => {
    expect(proxyConfiguration({ ...HEAD, mode: '' })).toEqual(DEFAULTS);
  });

  it('takes what kubeadm writes', () => {
    const configuration = proxyConfiguration({
      ...HEAD,
      bindAddress: '0.0.0.0',
      bindAddressHardFail: false,
      clientConnection: {
        acceptContentTypes: '',
        burst: 0,
        contentType: '',
        kubeconfig: '/k',
        qps: 0,
      },
      clusterCIDR: '10.244.0.0/16',
      configSyncPeriod: '0s',
      conntrack: { maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null },
      detectLocal: { bridgeInterface: '', interfaceNamePrefix: '' },
      iptables: {
        localhostNodePorts: null,
        masqueradeBit: null,
        minSyncPeriod: '1s',
        syncPeriod: '10s',
      },
      logging: { flushFrequency: 0 },
      nodePortAddresses: null,
      winkernel: {},
    });
    expect(configuration.iptables).toMatchObject({ minSyncPeriod: 1_000, syncPeriod: 10_000 });
    expect(configuration.clientConnection.kubeconfig).toBe('/k');
  });

  it.each([
    ['an unknown field', { ipTables: {} }, /unknown field "ipTables"/],
    ['an unknown field inside', { iptables: { mark: 1 } }, /unknown field "iptables.mark"/],
    ['an unknown mode', { mode: 'magic' }, /mode: Unsupported value: "magic"/],
    ['a number for a duration', { iptables: { syncPeriod: 5 } }, /syncPeriod: Invalid value: 5/],
    ['a bit out of range', { iptables: { masqueradeBit: 32 } }, /within the range \[0, 31\]/],
    ['another kind', { kind: 'KubeletConfiguration' }, /want kubeproxy.config.k8s.io/],
    ['a string for a list', { nodePortAddresses: '10.0.0.0/8' }, /must be a list of strings/],
  ])('refuses %s by name', (_name, given, message) => {
    expect(() => proxyConfiguration({ ...HEAD, ...given })).toThrow(message);
  });
});

describe('parseDuration', () => {
  it.each([
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['250ms', 250],
    ['1.5s', 1_500],
    ['0', 0],
    ['5', undefined],
    ['', undefined],
    ['s', undefined],
  ])('reads %s', (text, ms) => expect(parseDuration(text)).toBe(ms));
});
