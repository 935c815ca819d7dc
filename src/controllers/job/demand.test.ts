import { describe, expect, it } from 'vitest';
import type { Job, Pod } from '../../api/types.ts';
import { demandOf } from './demand.ts';

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
  world: { active?: Pod[]; failedPods?: Pod[]; succeeded?: number; completed?: number[] },
) => {
  const { active = [], failedPods = [], completed = [] } = world;
  const tally = {
    ...{ active: active.length, failed: failedPods.length, failJob: undefined, restarts: 0 },
    succeeded: world.succeeded ?? completed.length,
    completedIndexes: new Set(completed),
    failedIndexes: new Set<number>(),
  };
  const job = { spec: { completionMode: 'Indexed', parallelism: 2, ...spec } } as unknown as Job;
  const found = demandOf(job, { active, terminating: 0, failedPods, tally, now: NOW });
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

  it('with a limit per index lets only the index that failed wait', () => {
    const failedPods = [pod(0, { endedAt: NOW - 4_000 })];
    const spec = { completions: 3, backoffLimitPerIndex: 2 };
    expect(demand(spec, { failedPods })).toEqual({ create: [1, 2], delete: [], waitMs: 6_000 });
  });

  it('with a limit per index waits twice as long after the second failure', () => {
    const failedPods = [
      pod(0, { endedAt: NOW - 60_000 }),
      pod(0, { failures: 1, endedAt: NOW - 5_000 }),
    ];
    const spec = { completions: 1, backoffLimitPerIndex: 3 };
    expect(demand(spec, { failedPods }).waitMs).toBe(15_000);
    expect(demand(spec, { failedPods: failedPods.slice(0, 1) }).create).toEqual([0]);
  });
});
