import { describe, expect, it } from 'vitest';
import type { Pod, StatefulSet } from '../../api/types.ts';
import { plan } from './plan.ts';

type Spec = Partial<NonNullable<StatefulSet['spec']>>;

function set(spec: Spec, currentReplicas = 0): StatefulSet {
  return {
    metadata: { name: 'db', namespace: 'a' },
    spec: { replicas: 3, selector: {}, template: {}, serviceName: 'db', ...spec },
    status: { replicas: 0, currentReplicas },
  } as unknown as StatefulSet;
}

/** `0` ready and new; `1o` of the old revision; `2x` not ready; `1t` going; `1f` failed. */
function pod(text: string): Pod {
  const [, ordinal, flags = ''] = /^(\d+)(\w*)$/.exec(text) ?? [];
  const has = (flag: string) => flags.includes(flag);
  return {
    metadata: {
      name: `db-${ordinal}`,
      labels: { 'controller-revision-hash': has('o') ? 'old' : 'new' },
      ...(has('t') ? { deletionTimestamp: 'x' } : {}),
    },
    status: {
      phase: has('f') ? 'Failed' : 'Running',
      conditions: [{ type: 'Ready', status: has('x') ? 'False' : 'True' }],
    },
  } as unknown as Pod;
}

function steps(spec: Spec, pods: string, currentReplicas = 0): string {
  const list = pods.split(' ').filter(Boolean).map(pod);
  const revisions = { current: 'old', update: 'new' };
  return plan(set(spec, currentReplicas), list, { revisions, now: 0 })
    .map((action) =>
      action.do === 'create'
        ? `+${action.ordinal}${action.current ? 'o' : ''}`
        : `-${action.pod.metadata.name.slice(3)}`,
    )
    .join(' ');
}

const PARALLEL: Spec = { podManagementPolicy: 'Parallel' };
const rolling = (partition: number, maxUnavailable = 1): Spec => ({
  updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition, maxUnavailable } },
});

describe('plan', () => {
  it.each<[string, Spec, string, string]>([
    ['makes the first Pod alone', {}, '', '+0'],
    ['waits until it is ready', {}, '0x', ''],
    ['makes the next one then', {}, '0', '+1'],
    ['makes all at once with Parallel', PARALLEL, '', '+0 +1 +2'],
    ['starts at the start ordinal', { ordinals: { start: 5 } }, '', '+5'],
    ['replaces a Pod that has failed', {}, '0 1f 2', '-1'],
    ['waits for a Pod that goes', {}, '0 1t 2', ''],
    ['takes surplus away from the top, one by one', { replicas: 1 }, '0 1 2', '-2'],
    ['waits for each to be gone', { replicas: 1 }, '0 1 2t', ''],
    ['takes all surplus away with Parallel', { ...PARALLEL, replicas: 1 }, '0 1 2', '-2 -1'],
    ['updates from the top', rolling(0), '0o 1o 2o', '-2'],
    ['waits for the updated Pod', rolling(0), '0o 1o 2x', ''],
    ['goes on when it is ready', rolling(0), '0o 1o 2', '-1'],
    ['stops at the partition', rolling(2), '0o 1o 2', ''],
    ['replaces an old Pod that is not ready', { ...rolling(0), ...PARALLEL }, '0o 1o 2ox', '-2'],
    ['updates several with maxUnavailable', rolling(0, 2), '0o 1o 2o', '-2 -1'],
    ['never updates with OnDelete', { updateStrategy: { type: 'OnDelete' } }, '0o 1o 2o', ''],
  ])('%s', (_, spec, pods, wanted) => expect(steps(spec, pods)).toBe(wanted));

  it('makes lower ordinals from the old template in the middle of an update', () => {
    expect(steps(rolling(2), '0o', 1)).toBe('+1o');
  });
});
