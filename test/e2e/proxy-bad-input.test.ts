import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/api/types.ts';
import { eventually } from '../support/network/answers.ts';
import { NetworkWorld } from '../support/network/network-world.ts';
import { service, slice } from '../support/network/service-objects.ts';

const LIMIT_MS = 120_000;

async function answers(world: NetworkWorld, name: string): Promise<void> {
  await eventually(async () => {
    expect(await world.tcp('pod2', '10.96.0.10', 80)).toMatchObject([{ name }]);
  });
}

describe.each(['iptables', 'nftables', 'userspace'])('bad input to mode %s', (mode) => {
  const world = new NetworkWorld();
  beforeAll(async () => {
    await world.start();
    await world.startProxy(mode);
  });
  afterAll(() => world.stop());

  it('goes on beside Services without ports, clashing node ports and foreign endpoints', async () => {
    const clash = { ports: [{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30_010 }] };
    await world.apply(
      service('portless', '10.96.0.20', { ports: [] }),
      service('web', '10.96.0.10', { type: 'NodePort', ...clash }),
      slice('web', ['pod1']),
      service('twin', '10.96.0.21', { type: 'NodePort', ...clash }),
      slice('twin', ['pod2']),
      service('foreign', '10.96.0.22'),
      endpointsOf('foreign', ['198.51.100.1', '255.255.255.255', '0.0.0.0']),
    );
    await answers(world, 'pod1');
    await world.remove(service('twin', '10.96.0.21'), service('foreign', '10.96.0.22'));
    await answers(world, 'pod1');
  });

  it('takes a slice of 1,000 endpoints', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`);
    await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
    await world.applyTimed(endpointsOf('web', many, 'web-a4'));
    await world.applyTimed(slice('web', ['pod3']));
    await answers(world, 'pod3');
  });

  function endpointsOf(name: string, ips: string[], object = `${name}-a4`): KubeObject {
    const made = slice(name, []);
    const endpoints = ips.map((address) => ({ addresses: [address], conditions: { ready: true } }));
    return { ...made, metadata: { ...made.metadata, name: object }, endpoints };
  }
});

describe('an iptables that lacks a match', () => {
  const world = new NetworkWorld();
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-extensions-'));
  beforeAll(async () => {
    const known = process.arch === 'x64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu';
    const extensions = join('/usr/lib', known, 'xtables');
    for (const name of readdirSync(extensions)) {
      if (!name.includes('statistic')) symlinkSync(join(extensions, name), join(directory, name));
    }
    await world.start();
    process.env.XTABLES_LIBDIR = directory;
    await world.startProxy('iptables', { syncPeriodMs: 200 });
  });
  afterAll(async () => {
    delete process.env.XTABLES_LIBDIR;
    await world.stop();
    rmSync(directory, { recursive: true });
  });

  it('is told by the name of the match, with the rule; what does without it is routed', async () => {
    await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
    await answers(world, 'pod1');
    await world.apply(slice('web', ['pod1', 'pod3']));
    await eventually(async () => {
      expect(world.proxyLog).toMatch(/match `statistic'.*\(-A KUBE-SVC-\w+ .*-m statistic/);
    });
    await answers(world, 'pod1');
    await world.apply(slice('web', ['pod3']));
    await answers(world, 'pod3');
  });
});

describe('iptables of the legacy variant', () => {
  const world = new NetworkWorld();
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-xtables-'));
  const lock = join(directory, 'lock');
  beforeAll(async () => {
    await world.start();
    // The lock of this world's tables only.
    process.env.XTABLES_LOCKFILE = lock;
    // What holds rules already is what the machine uses.
    await world.onNode('iptables-legacy', '-A', 'FORWARD', '-s', '198.18.0.1', '-j', 'DROP');
    await world.startProxy('iptables');
    await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
  });
  afterAll(async () => {
    delete process.env.XTABLES_LOCKFILE;
    await world.stop();
    rmSync(directory, { recursive: true });
  });

  it('is the one that is used where the machine uses it', async () => {
    await answers(world, 'pod1');
    expect(await world.onNode('iptables-legacy-save')).toContain('KUBE-SVC-');
    expect(await world.onNode('iptables-nft-save')).not.toContain('KUBE-SVC-');
  });

  it.each([
    [1, 'waits for'],
    [7, 'tries again after'],
  ])(
    'with the lock held by others for %i s: %s it',
    async (seconds) => {
      const other = seconds === 1 ? 'pod3' : 'pod1';
      const holder = spawn('flock', [lock, 'sleep', String(seconds)]);
      const released = once(holder, 'exit');
      await world.apply(slice('web', [other]));
      await answers(world, other);
      await released;
    },
    LIMIT_MS,
  );
});
