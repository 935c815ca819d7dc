import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/errors.ts';
import { PODS } from '../api/resource-types.ts';
import type { Pod, PodStatus } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { finalStatus, StatusManager, statusPatch } from './status-manager.ts';

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

let clock = new FakeClock();

function managerFor(client: FakeClient): StatusManager {
  clock = new FakeClock();
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

describe('finalStatus', () => {
  const waiting = {
    ...{ name: 'a', image: 'i', imageID: '', restartCount: 0, ready: false },
    state: { waiting: { reason: 'ContainerCreating' } },
  };
  const initialized = [{ type: 'Initialized', status: 'True' }];
  const pod = boundPod(new FakeClient());
  const pending = { phase: 'Pending', conditions: initialized, containerStatuses: [waiting] };

  it('has failed who never started, in its containers, too', () => {
    const { phase, containerStatuses } = finalStatus(pod, pending as PodStatus);
    expect(phase).toBe('Failed');
    expect(containerStatuses).toMatchObject([
      { state: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } } },
    ]);
  });

  it('leaves containers waiting behind an init container that did not complete', () => {
    const status = { ...pending, conditions: [] } as PodStatus;
    expect(finalStatus(pod, status)).toEqual({ ...status, phase: 'Failed' });
  });

  it('leaves what is final, and what containers ended with', () => {
    const ended = { ...waiting, state: { terminated: { exitCode: 0 } } };
    const done = { ...pending, phase: 'Succeeded', containerStatuses: [ended] } as PodStatus;
    expect(finalStatus(pod, done)).toBe(done);
    const cut = { ...pending, containerStatuses: [ended] } as PodStatus;
    expect(finalStatus(pod, cut)).toEqual({ ...cut, phase: 'Failed' });
  });
});

describe('StatusManager and other writers', () => {
  it('corrects what somebody else wrote since, and is still then', async () => {
    const client = new FakeClient();
    const pod = boundPod(client);
    const manager = managerFor(client);
    manager.set(pod, { phase: 'Running', podIP: '10.0.0.1' });
    await manager.flush();
    const [told] = client.all(PODS);
    if (!told) throw new Error('gone');
    await client.update(PODS, { ...told, status: { phase: 'Unknown' } }, { subresource: 'status' });
    const [changed] = client.all(PODS);
    if (!changed) throw new Error('gone');
    for (let times = 0; times < 3; times++) {
      // The version before it, too, may still come.
      for (const seen of [told, changed])
        manager.set(seen, { phase: 'Running', podIP: '10.0.0.1' });
      await manager.flush();
    }
    expect(client.all(PODS)[0]?.status).toEqual({ phase: 'Running', podIP: '10.0.0.1' });
    const words = ['patch', 'update', 'patch'];
    expect(client.actions.map(({ verb }) => verb)).toEqual(words);
  });

  it('tells a status again after a conflict, unless another Pod bears the name', async () => {
    const client = new FakeClient();
    const pod = boundPod(client);
    const manager = managerFor(client);
    const calm = client.react(() => new ApiError('Conflict', 'the object has been modified'));
    manager.set(pod, { phase: 'Failed' });
    await expect.poll(() => client.actions.length).toBe(1);
    calm();
    await clock.advance(1000);
    await expect.poll(() => client.all(PODS)[0]?.status?.phase).toBe('Failed');
    const other = { ...pod, metadata: { ...pod.metadata, uid: 'of an earlier one' } };
    manager.set(other, { phase: 'Running' });
    await manager.flush();
    expect(client.all(PODS)[0]?.status?.phase).toBe('Failed');
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
