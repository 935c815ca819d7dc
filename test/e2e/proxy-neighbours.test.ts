import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podNetworkRules } from '../../src/cluster/network.ts';
import { eventually } from '../support/network/answers.ts';
import {
  type Neighbour,
  startDockerEngine,
  startFirewalld,
} from '../support/network/neighbours.ts';
import { ADDRESSES, NetworkWorld, NODE_IP } from '../support/network/network-world.ts';
import { service, slice } from '../support/network/service-objects.ts';

const NODE_PORT = { name: 'p', port: 80, protocol: 'TCP', nodePort: 30_010 };
const WEB = service('web', '10.96.0.10', { type: 'NodePort', ports: [NODE_PORT] });

/** A Service answers machines outside by its node port, and Pods and the node by its cluster IP. */
async function routes(world: NetworkWorld, pod: string): Promise<void> {
  for (const [place, host, port] of [
    ['client', NODE_IP, NODE_PORT.nodePort],
    ['pod2', '10.96.0.10', 80],
    ['node', '10.96.0.10', 80],
  ] as const) {
    await eventually(async () => {
      expect(await world.tcp(place, host, port), place).toMatchObject([{ name: pod }]);
    });
  }
}

/** All rules, without counters, and without tables that appear when they are looked at. */
async function rulesOf(world: NetworkWorld): Promise<string> {
  const save = 'iptables-save; ip6tables-save; nft list tables inet';
  return (await world.onNode('sh', '-c', save))
    .replace(/\[\d+:\d+\]|^#.*$/gm, '')
    .replace(/^\*\w+\n(:[A-Z]+ \w+ *\n)*COMMIT$/gm, '')
    .split('\n')
    .filter((line) => line !== '')
    .join('\n');
}

describe.each(['iptables', 'nftables', 'userspace'])('mode %s beside firewalld', (mode) => {
  const world = new NetworkWorld();
  let firewalld: Neighbour | undefined;
  beforeAll(async () => {
    await world.start();
    firewalld = await startFirewalld(world);
  });
  afterAll(async () => {
    await firewalld?.stop();
    await world.stop();
  });

  it('routes, also after it has loaded its rules again, and leaves them alone', async () => {
    const before = await rulesOf(world);
    expect(before).toContain('table inet firewalld');
    expect((await world.tcp('client', NODE_IP, 9))[0]?.error, 'the wall stands').toMatch(
      /EHOSTUNREACH|EACCES|timeout/,
    );
    await world.startProxy(mode, { syncPeriodMs: 500 });
    await world.apply(WEB, slice('web', ['pod1']));
    await routes(world, 'pod1');
    for (const reload of ['--reload', '--complete-reload']) {
      expect(await firewalld?.run(reload)).toContain('success');
      await routes(world, 'pod1');
    }
    await world.apply(slice('web', ['pod3']));
    await routes(world, 'pod3');
    expect(await firewalld?.run('--get-default-zone')).toBe('public\n');
    await world.cleanup();
    expect(await rulesOf(world)).toBe(before);
  });
});

describe.each(['iptables', 'nftables', 'userspace'])('mode %s beside Docker Engine', (mode) => {
  const world = new NetworkWorld();
  let docker: Neighbour | undefined;
  beforeAll(async () => {
    await world.start();
    docker = await startDockerEngine(world);
    // What `k8ts up` writes for Pods: Docker forwards nothing that it does not know.
    const input = podNetworkRules(['10.244.0.0/16']);
    await world.onNode('sh', '-c', `iptables-restore --noflush <<'END'\n${input}\nEND`);
    await world.onNode('iptables', '-A', 'FORWARD', '-j', 'K8TS-FORWARD');
  });
  afterAll(async () => {
    await docker?.stop();
    await world.stop();
  });

  it('routes, and leaves its rules alone', async () => {
    const before = await rulesOf(world);
    expect(before).toMatch(/:FORWARD DROP[\s\S]*-A FORWARD .*-j DOCKER/);
    await world.startProxy(mode);
    await world.apply(WEB, slice('web', ['pod1']));
    await routes(world, 'pod1');
    expect(await world.tcp('pod2', ADDRESSES.pod1.ip, 8080)).toMatchObject([{ name: 'pod1' }]);
    await docker?.run('network', 'create', 'other');
    await world.apply(slice('web', ['pod3']));
    await routes(world, 'pod3');
    await docker?.run('network', 'rm', 'other');
    await world.cleanup();
    expect(await rulesOf(world)).toBe(before);
  });
});
