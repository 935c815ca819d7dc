import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JOBS, PODS } from '../../api/resource-types.ts';
import type { Job, Pod } from '../../api/types.ts';
import { realClock } from '../../util/clock.ts';
import { World } from '../world.fake.ts';
import { judgeFailure } from './failure-policy.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { jobController } from './job-controller.ts';

const FAILURES = 'batch.kubernetes.io/job-index-failure-count';

describe('completion indexes', () => {
  it.each([
    ['', []],
    ['0', [0]],
    ['0,1', [0, 1]],
    ['0-2,5', [0, 1, 2, 5]],
  ] as const)('%j is %j and back', (text, list) => {
    expect([...parseIndexes(text, 10)]).toEqual(list);
    expect(formatIndexes(list)).toBe(text);
  });
});

describe('judgeFailure', () => {
  const failed = (exitCode: number) =>
    ({
      metadata: { namespace: 'a', name: 'p' },
      status: { containerStatuses: [{ name: 'c', state: { terminated: { exitCode } } }] },
    }) as unknown as Pod;
  const onExitCodes = { operator: 'In', values: [42] };
  const job = {
    spec: { podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes }] } },
  } as unknown as Job;

  it('lets the first matching rule decide', () => {
    expect(judgeFailure(job, failed(42))).toEqual({
      action: 'FailJob',
      message: 'Container c for pod a/p failed with exit code 42 matching FailJob rule at index 0',
    });
    expect(judgeFailure(job, failed(1))).toEqual({ action: 'Count' });
  });
});

describe('Job controller', () => {
  const key = { namespace: 'default', name: 'work' };
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.stop());

  const seed = (spec: object) =>
    world.client.seed(JOBS, {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: key,
      spec: {
        selector: { matchLabels: { job: 'work' } },
        template: { metadata: { labels: { job: 'work' } }, spec: { containers: [] } },
        ...spec,
      },
    } as never);
  const status = async () => (await world.client.get(JOBS, key)).status;
  const pods = () => world.client.all(PODS);
  const end = (phase: string) =>
    world.setPods((pod) => pod.status?.phase === undefined, { ready: false, phase });
  const touch = () =>
    world.client.patch(JOBS, key, { type: 'merge', body: { metadata: { labels: { a: 'b' } } } });
  const conditions = async () =>
    (await status())?.conditions?.map((c) => `${c.type} ${c.reason}`) ?? [];

  it('runs its completions, counts each Pod once, and lets the Pods go', async () => {
    seed({ completions: 5, parallelism: 2, backoffLimit: 6 });
    world.start([jobController]);
    for (const made of [2, 4, 5]) {
      await world.until(() => expect(pods()).toHaveLength(made));
      await end('Succeeded');
    }
    await world.until(async () =>
      expect(await conditions()).toEqual([
        'SuccessCriteriaMet CompletionsReached',
        'Complete CompletionsReached',
      ]),
    );
    await world.atRest();
    expect(await status()).toMatchObject({ succeeded: 5, uncountedTerminatedPods: {} });
    expect(pods().flatMap((pod) => pod.metadata.finalizers ?? [])).toEqual([]);
    expect(pods()).toHaveLength(5);
    expect(world.events.lines).toContain('Normal Completed default/work: Job completed');
  });

  it('gives every index one Pod that knows it', async () => {
    seed({ completions: 3, parallelism: 3, completionMode: 'Indexed' });
    world.start([jobController]);
    await world.until(() => expect(pods()).toHaveLength(3));
    expect(
      pods()
        .map((pod) => pod.spec?.hostname)
        .sort(),
    ).toEqual(['work-0', 'work-1', 'work-2']);
    await end('Succeeded');
    await world.until(async () => expect((await status())?.completedIndexes).toBe('0-2'));
  });

  it('counts the failures of an index although its failed Pod is deleted before it is replaced', async () => {
    const limits = { completionMode: 'Indexed', backoffLimitPerIndex: 1, backoffLimit: 6 };
    seed({ completions: 1, parallelism: 1, ...limits });
    let now = Date.now();
    world = new World(world.client, { ...realClock, now: () => now });
    world.start([jobController]);
    await world.until(() => expect(pods()).toHaveLength(1));
    await end('Failed');
    await world.atRest();
    const [failed] = pods();
    await world.client.delete(PODS, failed?.metadata as never);
    await world.atRest();
    expect(pods()).toHaveLength(1);
    expect(pods()[0]?.metadata.finalizers).toEqual(['batch.kubernetes.io/job-tracking']);
    now += 30_000;
    await touch();
    await world.until(() => {
      const counts = pods().map(({ metadata }) => metadata.annotations?.[FAILURES]);
      expect(counts).toEqual(['1']);
    });
    await end('Failed');
    await world.until(async () =>
      expect(await conditions()).toEqual(['FailureTarget FailedIndexes', 'Failed FailedIndexes']),
    );
    expect(await status()).toMatchObject({ failed: 2, failedIndexes: '0' });
  });

  it('fails beyond the back-off limit, and waits before it tries again', async () => {
    seed({ completions: 1, parallelism: 1, backoffLimit: 0 });
    world.start([jobController]);
    await world.until(() => expect(pods()).toHaveLength(1));
    await end('Failed');
    await world.until(async () =>
      expect(await conditions()).toEqual([
        'FailureTarget BackoffLimitExceeded',
        'Failed BackoffLimitExceeded',
      ]),
    );
    await world.atRest();
    expect(pods()).toHaveLength(1);
    expect(await status()).toMatchObject({ failed: 1 });
  });

  it('takes its Pods away while suspended, and brings them back', async () => {
    seed({ completions: 2, parallelism: 2, backoffLimit: 6 });
    world.start([jobController]);
    await world.until(() => expect(pods()).toHaveLength(2));
    const suspend = (value: boolean) =>
      world.client.patch(JOBS, key, { type: 'merge', body: { spec: { suspend: value } } });
    await suspend(true);
    await world.until(async () => expect(await conditions()).toEqual(['Suspended JobSuspended']));
    await world.until(() => expect(pods()).toHaveLength(0));
    expect((await status())?.startTime).toBeUndefined();
  });
});
