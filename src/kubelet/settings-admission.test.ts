import { describe, expect, it } from 'vitest';
import type { Pod } from '../api/types.ts';
import { podWith } from './pods.fake.ts';
import { settingsRefusal, sysctlName } from './settings-admission.ts';

const NODE = { allowedSysctls: ['kernel.msg*'], apparmor: false, strictGroups: false };
const sysctls = (name: string, spec = {}): Pod =>
  podWith({ ...spec, securityContext: { sysctls: [{ name, value: '1' }] } });

describe('settingsRefusal', () => {
  it.each<[string, Pod, string | undefined]>([
    ['a pod without settings', podWith(), undefined],
    ['a safe sysctl', sysctls('kernel.shm_rmid_forced'), undefined],
    ['a safe sysctl written with slashes', sysctls('net/ipv4/tcp_syncookies'), undefined],
    ['an unsafe sysctl that the node allows', sysctls('kernel.msgmax'), undefined],
    ['an unsafe sysctl', sysctls('net.core.somaxconn'), 'SysctlForbidden'],
    [
      'a net sysctl on the node’s network',
      sysctls('net.ipv4.tcp_syncookies', { hostNetwork: true }),
      'SysctlForbidden',
    ],
    [
      'an ipc sysctl in the node’s ipc',
      sysctls('kernel.shm_rmid_forced', { hostIPC: true }),
      'SysctlForbidden',
    ],
    ['another operating system', podWith({ os: { name: 'windows' } }), 'PodOSNotSupported'],
    [
      'an AppArmor profile',
      podWith({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }),
      'AppArmor',
    ],
    [
      'AppArmor switched off',
      podWith({ securityContext: { appArmorProfile: { type: 'Unconfined' } } }),
      undefined,
    ],
    [
      'strict supplemental groups',
      podWith({ securityContext: { supplementalGroupsPolicy: 'Strict' } }),
      'SupplementalGroupsPolicyNotSupported',
    ],
  ])('answers %s', (_what, pod, reason) => {
    expect(settingsRefusal(pod, NODE)?.reason).toBe(reason);
  });
});

describe('sysctlName', () => {
  it('keeps dots inside a part that slashes divide', () => {
    expect(sysctlName('net/ipv4/conf/eth0.1/rp_filter')).toBe('net.ipv4.conf.eth0/1.rp_filter');
  });
});
