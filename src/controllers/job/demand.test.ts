import { describe, expect, it } from 'vitest';
import type { Job, Pod } from '../../api/types.ts';
import { JobBackoff } from './backoff.ts';
import { demandOf } from './demand.ts';
import { earlierFailures, endOf } from './job-pods.ts';
import { awaitingReplacement, failuresWith } from './per-index.ts';

const INDEX = 'batch.kubernetes.io/job-completion-index';
const FAILURES = 'batch.kubernetes.io/job-index-failure-count';
const NOW = Date.UTC(2026, 0, 1);

const pod = (
  index: number,
  more: { failures?: number; endedAt?: number; ready?: boolean } = {},
) => {
  const finishedAt = new Date(more.endedAt ?? NOW).toISOString();
  return {
    metadata: {
      name: `p-${index}`,
      annotations: { [INDEX]: String(index), [FAILURES]: String(more.failures ?? 0) },
    },
    spec: more.ready ? { nodeName: 'n' } : {},
    status: {
      phase: more.ready ? 'Running' : 'Pending',
      containerStatuses: [{ state: { terminated: { finishedAt } } }],
    },
  } as unknown as Pod;
};
const demand = (
  spec: object,
  world: {
    active?: Pod[];
    terminating?: Pod[];
    toReplace?: Pod;
    succeeded?: number;
    completed?: number[];
  },
) => {
  const { active = [], terminating = [], toReplace, completed = [] } = world;
  const tally = {
    ...{ active: active.length, failed: 0, failJob: undefined, restarts: 0 },
    succeeded: world.succeeded ?? completed.length,
    completedIndexes: new Set(completed),
    failedIndexes: new Set<number>(),
  };
  const job = { spec: { completionMode: 'Indexed', parallelism: 2, ...spec } } as unknown as Job;
  const byIndex = new Map(toReplace ? [[0, toReplace]] : []);
  const found = demandOf(job, { active, terminating, toReplace: byIndex, tally, now: NOW });
  return {
    create: found.create.map((entry) => entry?.value),
    delete: found.delete.map(({ metadata }) => metadata.name),
    waitMs: found.waitMs,
  };
};

describe('demandOf an Indexed Job', () => {
  it('that has shrunk gives up the indexes beyond its completions, however far they are', () => {
    const active = [pod(0), pod(1), pod(2, { ready: true }), pod(3, { ready: true })];
    const shrunk = { completions: 2, parallelism: 2 };
    expect(demand(shrunk, { active }).delete).toEqual(['p-2', 'p-3']);
  });

  it('that has less parallelism gives up the Pods that have come least far', () => {
    const active = [pod(0, { ready: true }), pod(1), pod(2, { ready: true })];
    expect(demand({ completions: 5, parallelism: 2 }, { active }).delete).toEqual(['p-1']);
  });

  it('that has grown gets the new indexes', () => {
    expect(demand({ completions: 4, parallelism: 4 }, { completed: [0, 1] }).create).toEqual([
      2, 3,
    ]);
  });

  it('with a limit per index lets only the index that failed wait, in its place', () => {
    const toReplace = pod(0, { endedAt: NOW - 4_000 });
    const spec = { completions: 3, backoffLimitPerIndex: 2 };
    expect(demand(spec, { toReplace })).toEqual({ create: [1], delete: [], waitMs: 6_000 });
  });

  it('with a limit per index waits twice as long after the second failure', () => {
    const spec = { completions: 1, backoffLimitPerIndex: 3 };
    const second = pod(0, { failures: 1, endedAt: NOW - 5_000 });
    expect(demand(spec, { toReplace: second }).waitMs).toBe(15_000);
    const longAgo = pod(0, { endedAt: NOW - 60_000 });
    expect(demand(spec, { toReplace: longAgo })).toMatchObject({ create: [0], waitMs: undefined });
  });

  it('that waits for the end of its Pods gives their indexes to nobody', () => {
    const spec = { completions: 3, podReplacementPolicy: 'Failed' };
    expect(demand(spec, { terminating: [pod(0)] }).create).toEqual([1]);
  });
});

describe('endOf', () => {
  const at = (s: number) => new Date(NOW + s * 1000).toISOString();
  const ended = (s: number) => ({ name: 'c', state: { terminated: { finishedAt: at(s) } } });
  const unready = { type: 'Ready', status: 'False', lastTransitionTime: at(7) };
  const metadata = { creationTimestamp: at(0) };
  it.each<[string, number, object]>([
    ['the last container', 9, { status: { containerStatuses: [ended(5), ended(9)] } }],
    [
      'when one still runs, no longer ready',
      7,
      { status: { containerStatuses: [ended(5), { state: {} }], conditions: [unready] } },
    ],
    [
      'a sidecar',
      9,
      {
        spec: { initContainers: [{ name: 'c', restartPolicy: 'Always' }] },
        status: { containerStatuses: [ended(5)], initContainerStatuses: [ended(9)] },
      },
    ],
    [
      'deleted',
      3,
      { metadata: { ...metadata, deletionTimestamp: at(33), deletionGracePeriodSeconds: 30 } },
    ],
    ['never started', 0, {}],
  ])('%s', (_, seconds, pod) => {
    expect(endOf({ metadata, ...pod } as Pod)).toBe(NOW + seconds * 1000);
  });
});

describe('awaitingReplacement', () => {
  const job = { spec: { completions: 3, backoffLimitPerIndex: 2 } } as unknown as Job;
  const failed = (index: number, failures: number) => {
    const made = pod(index, { failures });
    return { ...made, status: { ...made.status, phase: 'Failed' } } as Pod;
  };
  const waiting = (held: Pod[], active: Pod[] = [], done: number[] = []) =>
    [...awaitingReplacement(job, held, { active, done: [new Set(done)] })].map(([index, found]) => [
      index,
      earlierFailures(found).counted,
    ]);

  it('is the last failure of an index that has no other Pod and no end', () => {
    const held = [failed(0, 1), failed(0, 0), failed(1, 0), failed(2, 0), failed(7, 0), pod(2)];
    expect(waiting(held)).toEqual([
      [0, 1],
      [1, 0],
      [2, 0],
    ]);
    expect(waiting(held, [pod(0)], [2])).toEqual([[1, 0]]);
  });

  it('is told of by the Pod in its place, what is ignored apart', () => {
    const rules = [{ action: 'Ignore', onExitCodes: { operator: 'In', values: [9] } }];
    const lenient = { spec: { ...job.spec, podFailurePolicy: { rules } } } as unknown as Job;
    const exited = { name: 'c', state: { terminated: { exitCode: 9 } } };
    const ignored = { ...failed(0, 1), status: { phase: 'Failed', containerStatuses: [exited] } };
    expect(failuresWith(lenient, failed(0, 1))).toEqual({ counted: 2, ignored: 0 });
    expect(failuresWith(lenient, ignored as unknown as Pod)).toEqual({ counted: 1, ignored: 1 });
  });
});

describe('JobBackoff', () => {
  const ended = (...seconds: number[]) => seconds.map((s) => pod(0, { endedAt: NOW + s * 1000 }));

  it('counts the failures since the last success', () => {
    const backoff = new JobBackoff();
    backoff.note('j', { succeeded: [], failed: ended(0, 1) });
    expect(backoff.remaining('j', NOW + 1000)).toBe(20_000);
    backoff.note('j', { succeeded: ended(5), failed: ended(4, 6) });
    expect(backoff.remaining('j', NOW + 6000)).toBe(10_000);
    backoff.note('j', { succeeded: ended(7), failed: [] });
    expect(backoff.remaining('j', NOW + 7000)).toBe(0);
  });
});
