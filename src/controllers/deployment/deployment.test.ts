import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEPLOYMENTS, PODS, REPLICA_SETS } from '../../api/resource-types.ts';
import type { Deployment } from '../../api/types.ts';
import { replicaSetController } from '../replicaset/replicaset.ts';
import { World } from '../world.fake.ts';
import { deploymentController } from './deployment-controller.ts';

const key = { namespace: 'default', name: 'web' };

function deployment(spec: Partial<NonNullable<Deployment['spec']>> = {}) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: key,
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'web' } },
      template: templateOf('v1'),
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...spec,
    },
  };
}

function templateOf(image: string) {
  return { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } };
}

let world: World;
let running = true;
beforeEach(() => {
  world = new World();
  running = true;
});
afterEach(async () => {
  running = false;
  await world.stop();
});

const sets = () => world.client.all(REPLICA_SETS);
const pods = () => world.client.all(PODS);
const current = () => world.client.get(DEPLOYMENTS, key);
const patch = (spec: object) =>
  world.client.patch(DEPLOYMENTS, key, { type: 'merge', body: { spec } });

/** A kubelet: new Pods become ready. Keeps the extremes of what it saw. */
async function kubelet(extremes: { most: number; leastReady: number }) {
  while (running) {
    await world.setPods((pod) => pod.status?.phase === undefined, { ready: true });
    const live = pods().filter((pod) => !pod.metadata.deletionTimestamp);
    extremes.most = Math.max(extremes.most, live.length);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function settled(image: string, replicas = 3) {
  await world.until(async () => {
    const { status, metadata, spec } = await current();
    expect(spec?.template.spec?.containers[0]?.image).toBe(image);
    expect(status).toMatchObject({
      observedGeneration: metadata.generation,
      updatedReplicas: replicas,
      replicas,
      availableReplicas: replicas,
    });
    expect(status?.conditions?.find((c) => c.type === 'Progressing')?.reason).toBe(
      'NewReplicaSetAvailable',
    );
  });
  await world.atRest();
}

describe('Deployment controller', () => {
  it('rolls within surge and unavailability, keeps revisions, and is silent afterwards', async () => {
    world.client.seed(DEPLOYMENTS, deployment());
    world.start([deploymentController, replicaSetController]);
    const extremes = { most: 0, leastReady: 0 };
    const kubeletRuns = kubelet(extremes);
    await settled('v1');
    const [first] = sets();
    expect(first?.metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]+$/);
    expect(first?.metadata.labels?.['pod-template-hash']).toBe(first?.metadata.name.slice(4));
    expect(world.events.lines).toContain(
      `Normal ScalingReplicaSet default/web: Scaled up replica set ${first?.metadata.name} from 0 to 3`,
    );

    await patch({ template: templateOf('v2') });
    await settled('v2');
    expect(extremes.most).toBeLessThanOrEqual(4);
    expect(
      sets().map((rs) => [
        rs.spec?.replicas,
        rs.metadata.annotations?.['deployment.kubernetes.io/revision'],
      ]),
    ).toEqual([
      [0, '1'],
      [3, '2'],
    ]);
    expect((await current()).metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2');

    await patch({ template: templateOf('v1') });
    await settled('v1');
    expect(sets()).toHaveLength(2);
    expect(sets()[0]?.metadata.annotations).toMatchObject({
      'deployment.kubernetes.io/revision': '3',
      'deployment.kubernetes.io/revision-history': '1',
    });
    running = false;
    await kubeletRuns;
  });

  it('recreates: no new Pod before the last old one is gone', async () => {
    world.client.seed(DEPLOYMENTS, deployment({ strategy: { type: 'Recreate' } }));
    world.start([deploymentController, replicaSetController]);
    const kubeletRuns = kubelet({ most: 0, leastReady: 0 });
    await settled('v1');
    await patch({ template: templateOf('v2') });
    await settled('v2');
    const lines = world.client.log.filter(
      (line) => / pods /.test(line) && !line.includes('status'),
    );
    const verbs = lines.map((line) => line.split(' ')[0]);
    expect(verbs.join(' ')).toBe('create create create delete delete delete create create create');
    running = false;
    await kubeletRuns;
  });

  it('scales in proportion in the middle of a rollout that stands still', async () => {
    world.client.seed(DEPLOYMENTS, deployment({ replicas: 10 }));
    world.start([deploymentController, replicaSetController]);
    const kubeletRuns = kubelet({ most: 0, leastReady: 0 });
    await settled('v1', 10);
    running = false;
    await kubeletRuns;
    await patch({ template: templateOf('v2') }); // nothing becomes ready: 9 old, 2 new
    await world.until(() => expect(sets().map((rs) => rs.spec?.replicas)).toEqual([9, 2]));
    await world.atRest();
    await patch({ replicas: 20 });
    await world.until(() => expect(sets().map((rs) => rs.spec?.replicas)).toEqual([17, 4]));
  });

  it('does nothing to Pods while paused, but scales', async () => {
    world.client.seed(DEPLOYMENTS, deployment({ replicas: 2 }));
    world.start([deploymentController, replicaSetController]);
    const kubeletRuns = kubelet({ most: 0, leastReady: 0 });
    await settled('v1', 2);
    await patch({ paused: true });
    await world.until(async () =>
      expect((await current()).status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Progressing', reason: 'DeploymentPaused' }),
      ),
    );
    await patch({ template: templateOf('v2') });
    await world.atRest();
    expect(sets()).toHaveLength(1);
    await patch({ replicas: 4 });
    await world.until(() => expect(sets()[0]?.spec?.replicas).toBe(4));
    await patch({ paused: false });
    await settled('v2', 4);
    running = false;
    await kubeletRuns;
  });

  it('says that a rollout missed its deadline', async () => {
    world.client.seed(DEPLOYMENTS, deployment({ progressDeadlineSeconds: 1 }));
    world.start([deploymentController, replicaSetController]);
    await world.until(async () =>
      expect((await current()).status?.conditions).toContainEqual(
        expect.objectContaining({
          type: 'Progressing',
          status: 'False',
          reason: 'ProgressDeadlineExceeded',
          message: `ReplicaSet "${sets()[0]?.metadata.name}" has timed out progressing.`,
        }),
      ),
    );
  });

  it('removes ReplicaSets beyond the history limit', async () => {
    world.client.seed(DEPLOYMENTS, deployment({ revisionHistoryLimit: 1 }));
    world.start([deploymentController, replicaSetController]);
    const kubeletRuns = kubelet({ most: 0, leastReady: 0 });
    for (const image of ['v1', 'v2', 'v3']) {
      await patch({ template: templateOf(image) });
      await settled(image);
    }
    await world.until(() =>
      expect(
        sets().map((rs) => rs.metadata.annotations?.['deployment.kubernetes.io/revision']),
      ).toEqual(['2', '3']),
    );
    running = false;
    await kubeletRuns;
  });
});
