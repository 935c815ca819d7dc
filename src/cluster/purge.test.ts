import { describe, expect, it } from 'vitest';
import { hostPortRemoval, mountPoints } from './purge.ts';

describe('mountPoints', () => {
  it('reads escaped paths, in the order of mounting', () => {
    const text = [
      '22 1 0:20 / /run rw - tmpfs tmpfs rw',
      '40 22 0:44 / /run/k8ts/a\\040b rw shared:3 - overlay overlay rw',
      '',
    ].join('\n');
    expect(mountPoints(text)).toEqual(['/run', '/run/k8ts/a b']);
  });
});

describe('hostPortRemoval', () => {
  const idle = [
    '*nat',
    ':PREROUTING ACCEPT [0:0]',
    ':CNI-HOSTPORT-DNAT - [0:0]',
    ':CNI-HOSTPORT-MASQ - [0:0]',
    ':KUBE-SERVICES - [0:0]',
    '-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT',
    '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
    '-A PREROUTING -j KUBE-SERVICES',
    '-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE',
    'COMMIT',
  ];

  it("removes portmap's chains and the jumps into them, and nothing else", () => {
    expect(hostPortRemoval(idle.join('\n'))?.split('\n')).toEqual([
      '*nat',
      '-D PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT',
      '-D POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
      '-F CNI-HOSTPORT-DNAT',
      '-F CNI-HOSTPORT-MASQ',
      '-X CNI-HOSTPORT-DNAT',
      '-X CNI-HOSTPORT-MASQ',
      'COMMIT',
      '',
    ]);
  });

  it('leaves them while somebody has a host port', () => {
    const busy = '-A CNI-HOSTPORT-DNAT -p tcp -m multiport --dports 80 -j CNI-DN-0a1b';
    expect(hostPortRemoval([...idle, busy].join('\n'))).toBeUndefined();
  });

  it('does nothing where there are none', () => {
    expect(hostPortRemoval('*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n')).toBeUndefined();
  });
});
