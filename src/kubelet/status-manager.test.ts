import { describe, expect, it } from 'vitest';
import { PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { StatusManager, statusPatch } from './status-manager.ts';

function boundPod(client: FakeClient): Pod {
  const [pod] = client.seed(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'default',
      deletionTimestamp: '2026-01-01T00:00:02Z',
      deletionGracePeriodSeconds: 2,
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'c', image: 'i' }] },
    status: { phase: 'Running' },
  });
  if (!pod) throw new Error('not seeded');
  return pod;
}

function managerFor(client: FakeClient): StatusManager {
  const clock = new FakeClock();
  const deps = { client, clock, log: silent, mirrorOf: () => undefined, onDeleted: () => {} };
  return new StatusManager(deps);
}

describe('StatusManager', () => {
  it('deletes a finished pod even when it is told so right after a status without news', async () => {
    const client = new FakeClient();
    const pod = boundPod(client);
    const manager = managerFor(client);
    manager.set(pod, { phase: 'Running' });
    // The writer has nothing to write and is about to end: what comes now must not be lost.
    for (let turns = 0; turns < 6; turns++) {
      await Promise.resolve();
      if (turns === 1) manager.finish(pod);
    }
    await expect.poll(() => client.all(PODS)).toEqual([]);
  });

  it('tells the last status before the pod goes', async () => {
    const client = new FakeClient();
    const pod = boundPod(client);
    const manager = managerFor(client);
    manager.set(pod, { phase: 'Failed' });
    manager.finish(pod);
    await expect
      .poll(() => client.log)
      .toEqual(['patch pods/status default/web', 'delete pods default/web']);
  });
});

describe('statusPatch', () => {
  it('takes away the reason of a condition that became true', () => {
    const before = {
      conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady' }],
    };
    const after = { conditions: [{ type: 'Ready', status: 'True' }] };
    expect(statusPatch(before, after)).toEqual({
      conditions: [{ type: 'Ready', status: 'True', reason: null }],
    });
  });

  it('leaves the conditions of others alone', () => {
    const gate = { type: 'example.com/gate', status: 'True' };
    expect(
      statusPatch({ conditions: [gate] }, { conditions: [{ ...gate, status: 'False' }] }),
    ).toBe(undefined);
  });

  it('says nothing when nothing changed', () => {
    expect(statusPatch({ phase: 'Running' }, { phase: 'Running' })).toBe(undefined);
  });
});
