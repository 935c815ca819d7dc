import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controllerOf } from '../../src/api/owner-references.ts';
import { CRON_JOBS, JOBS, PODS } from '../../src/api/resource-types.ts';
import type { Job, Pod } from '../../src/api/types.ts';
import { eventually } from '../support/eventually.ts';
import { EXIT } from '../support/made-up-nodes.ts';
import { keyOf, Workloads } from '../support/workloads.ts';

// What upstream's conformance tests of Jobs and CronJobs ask for, on Pods without machines.

let world: Workloads;
beforeAll(async () => {
  world = await Workloads.start();
});
afterAll(() => world?.stop());

const INDEX = 'batch.kubernetes.io/job-completion-index';

interface Shape {
  /** The Pods end with this code as soon as they run; absent: they run on. */
  readonly exit?: number;
  readonly spec?: object;
}

function jobOf(name: string, { exit, spec = {} }: Shape): object {
  const annotations = exit === undefined ? {} : { [EXIT]: String(exit) };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...keyOf(name), labels: { app: name } },
    spec: {
      template: {
        metadata: { labels: { app: name }, annotations },
        spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'v1' }] },
      },
      ...spec,
    },
  };
}

const create = (name: string, shape: Shape): Promise<Job> =>
  world.client.create(JOBS, jobOf(name, shape) as never);
const running = (app: string, count: number) =>
  eventually(`${count} running Pods of ${app}`, async () => {
    const pods = await world.pods(app);
    return pods.filter((p) => p.status?.phase === 'Running').length === count ? pods : undefined;
  });
const ending = (job: Job) => {
  const last = job.status?.conditions?.find(({ type }) => type === 'Complete' || type === 'Failed');
  return last && `${last.type} ${last.reason}`;
};
const ends = (name: string, wanted: string) =>
  world.until(JOBS, name, wanted, (job) => ending(job) === wanted);
const indexOf = ({ metadata }: Pod) => metadata.annotations?.[INDEX];
/** Lets one Pod end as a kubelet would tell it. */
const end = ({ metadata }: Pod, exit: number) =>
  world.patch(PODS, metadata.name, { metadata: { annotations: { [EXIT]: String(exit) } } });

describe('a Job', () => {
  it('runs to completion, and keeps its Pods', async () => {
    await create('done', { exit: 0, spec: { completions: 4, parallelism: 2 } });
    const job = await ends('done', 'Complete CompletionsReached');
    expect(job.status).toMatchObject({ succeeded: 4, completionTime: expect.any(String) });
    expect(await world.pods('done')).toHaveLength(4);
  });

  it('gives each index a Pod with a name of its own', async () => {
    const spec = { completions: 4, parallelism: 4, completionMode: 'Indexed' };
    await create('indexed', { exit: 0, spec });
    const job = await ends('indexed', 'Complete CompletionsReached');
    expect(job.status?.completedIndexes).toBe('0-3');
    const pods = await world.pods('indexed');
    expect(pods.map((p) => p.spec?.hostname).sort()).toEqual(
      [0, 1, 2, 3].map((n) => `indexed-${n}`),
    );
  });

  it('adopts its Pods again, and releases those that match no more', async () => {
    await create('adopt', { spec: { completions: 2, parallelism: 2 } });
    const [pod] = await running('adopt', 2);
    const name = pod?.metadata.name ?? '';
    await world.patch(PODS, name, { metadata: { ownerReferences: null } });
    await world.until(PODS, name, 'adopted', (p) => controllerOf(p)?.name === 'adopt');
    await world.patch(PODS, name, { metadata: { labels: null } });
    await world.until(PODS, name, 'released', (p) => controllerOf(p) === undefined);
    await eventually('a Pod in its place', async () => (await world.pods('adopt')).length === 2);
  });

  it('lets others write into its status, and can be replaced, patched, and swept with its Pods', async () => {
    await create('life', { spec: { completions: 2, parallelism: 2 } });
    await running('life', 2);
    const condition = { type: 'CustomConditionType', status: 'True', reason: 'E2E' };
    await world.patch(JOBS, 'life', { status: { conditions: [condition] } }, 'status');
    await eventually('a replaced Job', async () => {
      const job = await world.client.get(JOBS, keyOf('life'));
      const annotations = { updated: 'true' };
      await world.client.update(JOBS, { ...job, metadata: { ...job.metadata, annotations } });
      return true;
    });
    await world.patch(JOBS, 'life', { spec: { parallelism: 1 } });
    const { status } = await world.until(JOBS, 'life', 'one', (job) => job.status?.active === 1);
    expect(status?.conditions).toContainEqual(expect.objectContaining(condition));
    await world.client.raw(
      'DELETE',
      '/apis/batch/v1/namespaces/default/jobs?labelSelector=app%3Dlife&propagationPolicy=Background',
    );
    await eventually('no Pods', async () => (await world.pods('life')).length === 0);
  });

  it('fails early by the exit code of a Pod', async () => {
    const onExitCodes = { containerName: 'c', operator: 'In', values: [3] };
    const podFailurePolicy = { rules: [{ action: 'FailJob', onExitCodes }] };
    const spec = { completions: 4, parallelism: 2, backoffLimit: 2, podFailurePolicy };
    await create('early', { spec });
    const [pod] = await running('early', 2);
    if (pod) await end(pod, 3);
    await ends('early', 'Failed PodFailurePolicy');
    await eventually('no Pod runs on', async () => {
      return (await world.pods('early')).every((p) => p.status?.phase === 'Failed');
    });
  });

  it('does not count a Pod that was evicted', async () => {
    const onPodConditions = [{ type: 'DisruptionTarget', status: 'True' }];
    const podFailurePolicy = { rules: [{ action: 'Ignore', onPodConditions }] };
    await create('evicted', { spec: { backoffLimit: 0, podFailurePolicy } });
    const [pod] = await running('evicted', 1);
    const name = pod?.metadata.name ?? '';
    const metadata = keyOf(name);
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata };
    await world.client.createSubresource(PODS, metadata, 'eviction', eviction);
    const next = await eventually('another Pod', async () => {
      const pods = await running('evicted', 1);
      return pods.find((p) => p.metadata.name !== name && p.status?.phase === 'Running');
    });
    await end(next, 0);
    const { status } = await ends('evicted', 'Complete CompletionsReached');
    expect(status?.failed ?? 0).toBe(0);
  });

  it('runs all indexes although some fail, each up to its own limit', async () => {
    const spec = {
      ...{ completions: 4, parallelism: 4, completionMode: 'Indexed', backoffLimitPerIndex: 0 },
    };
    await create('some', { spec });
    for (const pod of await running('some', 4)) {
      await end(pod, Number(indexOf(pod)) % 2 === 0 ? 1 : 0);
    }
    const { status } = await ends('some', 'Failed FailedIndexes');
    expect(status).toMatchObject({ failedIndexes: '0,2', completedIndexes: '1,3', failed: 2 });
  });

  it('waits only with the index that failed', async () => {
    const spec = {
      ...{ completions: 3, parallelism: 2, completionMode: 'Indexed', backoffLimitPerIndex: 1 },
    };
    await create('alone', { spec });
    const first = (await running('alone', 2)).find((pod) => indexOf(pod) === '0');
    if (first) await end(first, 1);
    for (const index of ['1', '2']) {
      const pod = await eventually(`index ${index}`, async () => {
        const pods = await world.pods('alone');
        return pods.find((p) => indexOf(p) === index && p.status?.phase === 'Running');
      });
      await end(pod, 0);
    }
    const again = await eventually('index 0 again', async () => {
      const pods = await world.pods('alone');
      return pods.find((p) => indexOf(p) === '0' && p.status?.phase === 'Running');
    });
    expect(again.metadata.annotations?.['batch.kubernetes.io/job-index-failure-count']).toBe('1');
    await end(again, 0);
    const { status } = await ends('alone', 'Complete CompletionsReached');
    expect(status).toMatchObject({ succeeded: 3, failed: 1, completedIndexes: '0-2' });
  });

  it('stops when too many indexes have failed, and those that still run with it', async () => {
    const spec = {
      ...{ completions: 4, parallelism: 3, completionMode: 'Indexed', backoffLimitPerIndex: 0 },
      maxFailedIndexes: 0,
    };
    await create('many', { spec });
    const [pod] = await running('many', 3);
    if (pod) await end(pod, 1);
    await ends('many', 'Failed MaxFailedIndexesExceeded');
    expect((await world.client.get(JOBS, keyOf('many'))).status?.active ?? 0).toBe(0);
  });

  it.each([
    ['succeededIndexes', { succeededIndexes: '0' }],
    ['succeededCount', { succeededCount: 1 }],
  ])('succeeds by %s while other indexes are pending', async (name, rule) => {
    const app = name.toLowerCase();
    const spec = {
      ...{ completions: 5, parallelism: 2, completionMode: 'Indexed' },
      successPolicy: { rules: [rule] },
    };
    await create(app, { spec });
    const pods = await running(app, 2);
    const zero = pods.find((p) => indexOf(p) === '0');
    if (zero) await end(zero, 0);
    const { status } = await ends(app, 'Complete SuccessPolicy');
    expect(status).toMatchObject({ succeeded: 1, completedIndexes: '0' });
    expect(status?.conditions?.map(({ type }) => type)).toEqual(['SuccessCriteriaMet', 'Complete']);
  });

  it('grows and shrinks while it runs, when it is Indexed', async () => {
    const spec = { completions: 2, parallelism: 2, completionMode: 'Indexed' };
    await create('elastic', { spec });
    await running('elastic', 2);
    await world.patch(JOBS, 'elastic', { spec: { completions: 4, parallelism: 4 } });
    await running('elastic', 4);
    await world.patch(JOBS, 'elastic', { spec: { completions: 1, parallelism: 1 } });
    const pods = await eventually('one Pod', async () => {
      const found = (await world.pods('elastic')).filter((p) => p.status?.phase === 'Running');
      return found.length === 1 ? found : undefined;
    });
    expect(pods.map(indexOf)).toEqual(['0']);
    if (pods[0]) await end(pods[0], 0);
    await ends('elastic', 'Complete CompletionsReached');
  });

  it('is left alone when somebody else manages it', async () => {
    const job = await create('managed', { exit: 0, spec: { managedBy: 'example.com/me' } });
    await create('after', { exit: 0 });
    await ends('after', 'Complete CompletionsReached');
    const same = await world.client.get(JOBS, keyOf('managed'));
    expect(same.metadata.resourceVersion).toBe(job.metadata.resourceVersion);
    expect(await world.pods('managed')).toEqual([]);
  });

  it('waits for Pods that are going, where it is told to', async () => {
    await create('replaced', { spec: { podReplacementPolicy: 'Failed' } });
    const [pod] = await running('replaced', 1);
    const name = pod?.metadata.name ?? '';
    await world.client.delete(PODS, keyOf(name));
    await eventually('another Pod', async () => {
      const pods = await world.pods('replaced');
      return pods.some((p) => p.metadata.name !== name && p.status?.phase === 'Running');
    });
  });
});

describe('a CronJob', () => {
  it('is an object like others, and makes nothing while it is suspended', async () => {
    const { metadata: _, ...template } = jobOf('cron', { exit: 0 }) as { metadata: object };
    const { spec } = template as unknown as { spec: object };
    await world.client.create(CRON_JOBS, {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { ...keyOf('cron'), labels: { app: 'cron' } },
      spec: { schedule: '*/1 * * * *', suspend: true, jobTemplate: { spec } },
    } as never);
    const time = '2026-01-01T00:00:00Z';
    await world.patch(CRON_JOBS, 'cron', { metadata: { annotations: { patched: 'true' } } });
    await world.patch(CRON_JOBS, 'cron', { status: { lastScheduleTime: time } }, 'status');
    const cron = await world.client.get(CRON_JOBS, keyOf('cron'));
    expect(cron).toMatchObject({
      metadata: { annotations: { patched: 'true' } },
      status: { lastScheduleTime: time },
    });
    const all = (await world.client.raw('GET', '/apis/batch/v1/cronjobs')) as { items: object[] };
    expect(all.items).toHaveLength(1);
    const { items } = await world.client.list(JOBS, { namespace: 'default' });
    expect(items.filter((job) => controllerOf(job)?.kind === 'CronJob')).toEqual([]);
    await world.client.raw('DELETE', '/apis/batch/v1/namespaces/default/cronjobs');
    await eventually('none', async () => {
      return (await world.client.list(CRON_JOBS, { namespace: 'default' })).items.length === 0;
    });
  });
});

it('needs no more than the rights of its controllers', async () => {
  expect(await world.refusals()).toEqual([]);
});
