import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DEPLOYMENTS,
  POD_DISRUPTION_BUDGETS,
  PODS,
  REPLICA_SETS,
} from '../../api/resource-types.ts';
import { World } from '../world.fake.ts';
import { disruptionController } from './disruption-controller.ts';

const key = { namespace: 'a', name: 'pdb' };
let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

const budget = (spec: object, status?: object) =>
  world.client.seed(POD_DISRUPTION_BUDGETS, {
    metadata: key,
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
    ...(status ? { status } : {}),
  } as never);
const owned = (kind: string, name: string, uid: string) => [
  { apiVersion: 'apps/v1', kind, name, uid, controller: true },
];
const pods = (count: number, ownerReferences?: object[]) => {
  for (let i = 0; i < count; i++) {
    world.client.seed(PODS, {
      metadata: { namespace: 'a', name: `p${i}`, labels: { app: 'web' }, ownerReferences },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    } as never);
  }
};
const status = async () => (await world.client.get(POD_DISRUPTION_BUDGETS, key)).status;

describe('disruption controller', () => {
  it('counts what the Deployment asks for, not its ReplicaSets in a rollout', async () => {
    world.client.seed(DEPLOYMENTS, {
      metadata: { namespace: 'a', name: 'web', uid: 'd' },
      spec: { replicas: 4 },
    } as never);
    for (const uid of ['old', 'new']) {
      const metadata = {
        namespace: 'a',
        name: uid,
        uid,
        ownerReferences: owned('Deployment', 'web', 'd'),
      };
      world.client.seed(REPLICA_SETS, { metadata, spec: { replicas: 3 } } as never);
    }
    pods(4, owned('ReplicaSet', 'old', 'old'));
    budget({ minAvailable: '50%' });
    world.start([disruptionController]);
    await world.until(async () =>
      expect(await status()).toMatchObject({
        expectedPods: 4,
        desiredHealthy: 2,
        currentHealthy: 4,
        disruptionsAllowed: 2,
      }),
    );
  });

  it('warns of Pods that nobody manages, where it needs to know how many there should be', async () => {
    pods(2);
    budget({ maxUnavailable: 1 });
    world.start([disruptionController]);
    await world.until(async () =>
      expect(await status()).toMatchObject({ expectedPods: 0, disruptionsAllowed: 0 }),
    );
    expect(world.events.lines[0]).toContain('Warning UnmanagedPods a/pdb: Pods selected by this');
  });

  it('allows nothing when the owner cannot be scaled, and says so; conditions of others stay', async () => {
    world.client.raw = async () => ({ groups: [], resources: [] });
    pods(2, owned('Strange', 's', 'u'));
    budget({ maxUnavailable: 1 }, { conditions: [{ type: 'Mine', status: 'True' }] });
    world.start([disruptionController]);
    await world.until(async () =>
      expect((await status())?.conditions).toMatchObject([
        { type: 'Mine' },
        { type: 'DisruptionAllowed', status: 'False', reason: 'SyncFailed' },
      ]),
    );
    expect(world.events.lines[0]).toContain('CalculateExpectedPodCountFailed');
  });

  it('holds a place for an eviction that was granted', async () => {
    pods(3);
    budget({ minAvailable: 2 }, { disruptedPods: { p0: new Date().toISOString() } });
    world.start([disruptionController]);
    await world.until(async () =>
      expect(await status()).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 0 }),
    );
  });

  it('takes back a disruption that was announced and did not happen', async () => {
    const minutes = (count: number) => new Date(Date.now() - count * 60_000).toISOString();
    const announced = (name: string, ago: number, more: object = {}, status: object = {}) => {
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        lastTransitionTime: minutes(ago),
      };
      world.client.seed(PODS, {
        metadata: { namespace: 'a', name },
        status: { phase: 'Running', conditions: [{ ...condition, ...more }], ...status },
      } as never);
    };
    announced('stale', 3);
    announced('fresh', 1);
    announced('ended', 3, {}, { phase: 'Failed' });
    announced('by-kubelet', 3, { reason: 'TerminationByKubelet' });
    world.start([disruptionController]);
    const said = () =>
      world.client
        .all(PODS)
        .map(({ metadata, status }) => [metadata.name, status?.conditions?.[0]?.status]);
    await world.until(() => expect(said()[0]).toEqual(['stale', 'False']));
    await world.atRest();
    expect(
      said()
        .slice(1)
        .map(([, status]) => status),
    ).toEqual(['True', 'True', 'True']);
  });
});
