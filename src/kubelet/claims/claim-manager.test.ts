import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Pod, ResourceClaim } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { silent } from '../../util/log.ts';
import { podWith } from '../pods.fake.ts';
import { ClaimManager } from './claim-manager.ts';
import { checkAnswer, type DraDriver } from './dra-driver.ts';

let rootDir = '';
beforeEach(() => {
  rootDir = mkdtempSync(join(tmpdir(), 'k8ts-claims-'));
});
afterEach(() => rmSync(rootDir, { recursive: true, force: true }));

const claimOf = (
  name: string,
  { pods, requests = ['one'] }: { pods: string[]; requests?: string[] },
) =>
  ({
    metadata: { name, namespace: 'default', uid: `uid-${name}` },
    status: {
      allocation: {
        devices: {
          results: requests.map((request) => ({
            ...{ request, driver: 'things.test', pool: 'pool', device: `device-${request}` },
          })),
        },
      },
      reservedFor: pods.map((uid) => ({ resource: 'pods', name: uid, uid })),
    },
  }) as unknown as ResourceClaim;

function pod(uid: string, claimName: string, request?: string): Pod {
  const claims = [{ name: 'thing', ...(request ? { request } : {}) }];
  return podWith(
    {
      containers: [{ name: 'main', resources: { claims } }],
      resourceClaims: [{ name: 'thing', resourceClaimName: claimName }],
    },
    { uid, name: uid, namespace: 'default' },
  );
}

/** A node with one driver, that says what it was asked. */
function world({ claims = [] as ResourceClaim[], gone = [] as string[] } = {}) {
  const said: string[] = [];
  const clock = new FakeClock();
  let isAway = false;
  let problem: string | undefined;
  const driver: DraDriver = {
    async prepare([claim]) {
      said.push(`prepare ${claim?.name}`);
      if (problem) throw new Error(problem);
      const found = claims.find(({ metadata }) => metadata.uid === claim?.uid);
      const devices = (found?.status?.allocation?.devices?.results ?? []).map((one) => ({
        ...{ requestNames: [one.request], poolName: one.pool, deviceName: one.device },
        cdiDeviceIds: [`things.test/thing=${one.device}`],
      }));
      return new Map([[claim?.uid ?? '', devices]]);
    },
    unprepare: async ([claim]) => void said.push(`unprepare ${claim?.name}`),
    close: () => {},
  };
  const client = {
    get: async (_type: unknown, { name }: { name: string }) =>
      claims.find(({ metadata }) => metadata.name === name),
    raw: async (method: string, path: string) => {
      said.push(`${method} ${decodeURIComponent(path)}`);
      if (isAway) throw new Error('nobody answers');
    },
  } as unknown as Client;
  const manager = new ClaimManager({
    ...{ client, clock, log: silent, nodeName: 'n', rootDir },
    isGone: (uid) => gone.includes(uid),
    connect: () => driver,
  });
  manager.open();
  manager.addDriver('things.test', '/socket', ['v1.DRAPlugin']);
  const breakDriver = (text?: string): void => {
    problem = text;
  };
  const apiServer = (state: 'away' | 'here'): void => {
    isAway = state === 'away';
  };
  return { manager, said, clock, breakDriver, apiServer };
}

const { signal } = new AbortController();
const cdiOf = (manager: ClaimManager, one: Pod) => {
  const [main] = one.spec?.containers ?? [];
  return main && manager.cdiOf(one, main);
};

describe('ClaimManager', () => {
  it('has a shared claim made ready once, and given up after its last pod', async () => {
    const { manager, said } = world({ claims: [claimOf('c', { pods: ['p', 'q'] })] });
    await manager.prepare(pod('p', 'c'), signal);
    await manager.prepare(pod('p', 'c'), signal);
    await manager.prepare(pod('q', 'c'), signal);
    expect(cdiOf(manager, pod('q', 'c'))).toEqual(['things.test/thing=device-one']);
    await manager.unprepare('p', signal);
    expect(said).toEqual(['prepare c']);
    await manager.unprepare('q', signal);
    await manager.unprepare('q', signal);
    expect(said).toEqual(['prepare c', 'unprepare c']);
  });

  it('gives a container the devices of the request that it names', async () => {
    const claims = [claimOf('c', { pods: ['p'], requests: ['one', 'two/large'] })];
    const { manager } = world({ claims });
    const wishes = pod('p', 'c', 'two');
    await manager.prepare(wishes, signal);
    expect(cdiOf(manager, wishes)).toEqual(['things.test/thing=device-two/large']);
    expect(cdiOf(manager, pod('p', 'c', 'other'))).toEqual([]);
  });

  it('says what keeps a pod from its devices, and asks again', async () => {
    const { manager, said, breakDriver } = world({ claims: [claimOf('c', { pods: ['p'] })] });
    const refused = manager.prepare(pod('stranger', 'c'), signal);
    await expect(refused).rejects.toThrow('is not allowed to use ResourceClaim c (uid-c)');
    breakDriver('it is broken');
    await expect(manager.prepare(pod('p', 'c'), signal)).rejects.toThrow('it is broken');
    breakDriver();
    await manager.prepare(pod('p', 'c'), signal);
    expect(said).toEqual(['prepare c', 'prepare c']);
    manager.removeDriver('things.test', signal);
    const ending = manager.unprepare('p', signal);
    await expect(ending).rejects.toThrow('DRA driver things.test is not registered');
  });

  it('knows after a restart what has to be given up', async () => {
    const claims = [claimOf('c', { pods: ['p'] })];
    await world({ claims }).manager.prepare(pod('p', 'c'), signal);
    const { manager, said, clock } = world({ claims, gone: ['p'] });
    const stop = new AbortController();
    const running = manager.run(stop.signal);
    await clock.advance(0);
    await clock.advance(60_000);
    stop.abort();
    await clock.advance(60_000);
    await running;
    const slices = 'DELETE /apis/resource.k8s.io/v1/resourceslices?fieldSelector=spec.nodeName=n';
    expect(said).toEqual([slices, 'unprepare c']);
  });

  it('takes away what a driver offered that has been gone for a while', async () => {
    const { manager, said, clock } = world();
    manager.removeDriver('things.test', signal);
    manager.addDriver('things.test', '/socket', ['v1.DRAPlugin']);
    await clock.advance(30_000);
    expect(said).toEqual([]);
    manager.removeDriver('things.test', signal);
    await clock.advance(30_000);
    expect(said.join()).toMatch(/resourceslices\?.*spec\.nodeName=n,spec\.driver=things\.test$/);
  });

  it('takes it away when the API server is back, or the driver', async () => {
    const { manager, said, clock, apiServer } = world();
    apiServer('away');
    manager.removeDriver('things.test', signal);
    await clock.advance(30_000);
    await clock.advance(1_000);
    expect(said).toHaveLength(2);
    apiServer('here');
    await clock.advance(2_000);
    await clock.advance(100_000);
    expect(said).toHaveLength(3);
    apiServer('away');
    manager.removeDriver('things.test', signal);
    await clock.advance(30_000);
    manager.addDriver('things.test', '/socket', ['v1.DRAPlugin']);
    await clock.advance(100_000);
    expect(said).toHaveLength(4);
  });

  it('refuses drivers of other versions', () => {
    const { manager } = world();
    expect(() => manager.addDriver('old', '/socket', ['v1alpha2'])).toThrow('v1alpha2');
  });
});

describe('checkAnswer', () => {
  const claims = [{ namespace: 'n', name: 'c', uid: 'u' }];
  const check = (answers: Record<string, { error: string }>) => () =>
    checkAnswer('NodePrepareResources', claims, { claims: answers });

  it('wants each claim answered, and well', () => {
    expect(check({ u: { error: '' } })).not.toThrow();
    expect(check({})).toThrow('NodePrepareResources skipped 1 ResourceClaims');
    expect(check({ u: { error: 'no' } })).toThrow('failed for claim n/c: no');
    expect(check({ v: { error: '' } })).toThrow('unknown claim UID v');
  });
});
