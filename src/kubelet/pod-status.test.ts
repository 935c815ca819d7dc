import { describe, expect, it } from 'vitest';
import type { Container, Pod, PodStatus } from '../api/types.ts';
import type { PodStatusInputs } from './pod-conditions.ts';
import { computePodStatus } from './pod-status.ts';
import { exited, podWith, ranContainer, runtimePod } from './pods.fake.ts';
import { emptyRuntimePod, type RuntimePod } from './runtime-pod.ts';

const NOW = Date.parse('2026-01-01T00:01:00Z');
const EARLIER = '2026-01-01T00:00:10Z';

function statusOf(
  pod: Pod,
  runtime: RuntimePod = emptyRuntimePod('uid-1'),
  more: Partial<PodStatusInputs> = {},
): PodStatus {
  return computePodStatus({
    pod,
    runtime,
    previous: {},
    waiting: new Map(),
    hostIps: ['192.0.2.10'],
    now: NOW,
    isReady: () => true,
    isStarted: () => true,
    runtimeName: 'containerd',
    over: false,
    actuated: () => undefined,
    resize: { pending: undefined, progress: undefined },
    restartingAll: false,
    mayRun: false,
    ...more,
  });
}

/** `Type` when True, `!Type:Reason` when False. */
const conditionsOf = (status: PodStatus): string[] =>
  (status.conditions ?? []).map((c) =>
    c.status === 'True' ? c.type : `!${c.type}${c.reason ? `:${c.reason}` : ''}`,
  );
const two = [{ name: 'a' }, { name: 'b' }];
const sidecar: Partial<Container> = { name: 'side', restartPolicy: 'Always' };
const never = { restartPolicy: 'Never' };

describe('the phase', () => {
  it.each<[string, Pod, RuntimePod, string]>([
    ['nothing runs yet', podWith(), emptyRuntimePod('u'), 'Pending'],
    [
      'all run',
      podWith({ containers: two }),
      runtimePod([ranContainer('a'), ranContainer('b')]),
      'Running',
    ],
    [
      'one is still missing',
      podWith({ containers: two }),
      runtimePod([ranContainer('a')]),
      'Pending',
    ],
    [
      'one has ended and will run again',
      podWith({ containers: two }),
      runtimePod([ranContainer('a'), exited('b', 1)]),
      'Running',
    ],
    ['the only one will run again', podWith(), runtimePod([exited('main', 1)]), 'Running'],
    ['all succeeded', podWith(never), runtimePod([exited('main', 0)]), 'Succeeded'],
    [
      'one failed',
      podWith({ ...never, containers: two }),
      runtimePod([exited('a', 0), exited('b', 1)]),
      'Failed',
    ],
    [
      'one failed and another runs',
      podWith({ ...never, containers: two }),
      runtimePod([ranContainer('a'), exited('b', 1)]),
      'Running',
    ],
    [
      'an init container runs',
      podWith({ initContainers: [{ name: 'i' }] }),
      runtimePod([ranContainer('i')]),
      'Pending',
    ],
    [
      'an init container failed for good',
      podWith({ ...never, initContainers: [{ name: 'i' }] }),
      runtimePod([exited('i', 1)]),
      'Failed',
    ],
    [
      'only a sidecar is left',
      podWith({ ...never, initContainers: [sidecar] }),
      runtimePod([exited('main', 0), ranContainer('side')]),
      'Succeeded',
    ],
    [
      'it is deleted and has stopped',
      podWith({}, { deletionTimestamp: EARLIER }),
      runtimePod([exited('main', 0)]),
      'Succeeded',
    ],
  ])('when %s', (_when, pod, runtime, phase) => {
    expect(statusOf(pod, runtime).phase).toBe(phase);
  });

  it('never leaves Succeeded or Failed', () => {
    const status = statusOf(podWith(), runtimePod([ranContainer('main')]), {
      previous: { phase: 'Failed', reason: 'Evicted', message: 'gone' },
    });
    expect(status).toMatchObject({ phase: 'Failed', reason: 'Evicted', message: 'gone' });
  });

  it.each<[string, Pod, Partial<PodStatusInputs>, string]>([
    [
      'the sidecar of a pod whose work is done',
      podWith({ ...never, initContainers: [sidecar] }),
      { runtime: runtimePod([exited('main', 0), ranContainer('side')]) },
      'Succeeded',
    ],
    [
      'the container of a pod that is evicted',
      podWith(),
      {
        runtime: runtimePod([ranContainer('main')]),
        failed: { reason: 'Evicted', message: 'low' },
      },
      'Failed',
    ],
  ])('is not final while there runs %s', (_what, pod, more, end) => {
    const previous = { phase: 'Running', reason: 'Before' };
    const during = statusOf(pod, undefined, { ...more, previous, mayRun: true });
    expect(during).toMatchObject(previous);
    expect(statusOf(pod, undefined, { ...more, previous: during }).phase).toBe(end);
  });

  it('that somebody else made final is final', () => {
    const pod = { ...podWith(), status: { phase: 'Failed', reason: 'NodeLost' } };
    const previous = { phase: 'Running' };
    const status = statusOf(pod, runtimePod([ranContainer('main')]), { previous, mayRun: true });
    expect(status).toMatchObject({ phase: 'Failed', reason: 'NodeLost' });
  });

  it('keeps the reason and the message that others wrote for it, and no longer', () => {
    const words = { reason: 'E2E', message: 'patched' };
    const pod = { ...podWith(never), status: { phase: 'Running', ...words } };
    const running = statusOf(pod, runtimePod([ranContainer('main')]), {
      previous: { phase: 'Running' },
    });
    expect(running).toMatchObject({ phase: 'Running', ...words });
    const ended = statusOf(podWith(never), runtimePod([exited('main', 0)]), { previous: running });
    expect(ended).not.toHaveProperty('reason');
  });

  it('is Failed with the reason of whoever ended the pod', () => {
    const failed = { reason: 'DeadlineExceeded', message: 'too long' };
    const status = statusOf(podWith(), runtimePod([exited('main', 0)]), { failed });
    expect(status).toMatchObject({ phase: 'Failed', ...failed });
  });
});

describe('conditions', () => {
  const scheduled = 'PodScheduled';
  it.each<[string, Pod, RuntimePod, Partial<PodStatusInputs>, string[]]>([
    [
      'of a pod that waits for its sandbox',
      podWith(),
      emptyRuntimePod('u'),
      {},
      [
        '!PodReadyToStartContainers',
        'Initialized',
        '!Ready:ContainersNotReady',
        '!ContainersReady:ContainersNotReady',
        scheduled,
      ],
    ],
    [
      'of one that serves',
      podWith(),
      runtimePod([ranContainer('main')]),
      {},
      ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', scheduled],
    ],
    [
      'of one that is not ready',
      podWith(),
      runtimePod([ranContainer('main')]),
      { isReady: () => false },
      [
        'PodReadyToStartContainers',
        'Initialized',
        '!Ready:ContainersNotReady',
        '!ContainersReady:ContainersNotReady',
        scheduled,
      ],
    ],
    [
      'of one whose gate is closed',
      podWith({ readinessGates: [{ conditionType: 'example.test/gate' }] }),
      runtimePod([ranContainer('main')]),
      {},
      [
        'PodReadyToStartContainers',
        'Initialized',
        '!Ready:ReadinessGatesNotReady',
        'ContainersReady',
        scheduled,
      ],
    ],
    [
      'of one that is done',
      podWith(never),
      runtimePod([exited('main', 0)], { ready: false }),
      {},
      [
        '!PodReadyToStartContainers',
        'Initialized',
        '!Ready:PodCompleted',
        '!ContainersReady:PodCompleted',
        scheduled,
      ],
    ],
    [
      'of one that initialises',
      podWith({ initContainers: [{ name: 'i' }] }),
      runtimePod([ranContainer('i')]),
      {},
      [
        'PodReadyToStartContainers',
        '!Initialized:ContainersNotInitialized',
        '!Ready:ContainersNotReady',
        '!ContainersReady:ContainersNotReady',
        scheduled,
      ],
    ],
    [
      'of one whose resize waits',
      podWith(),
      runtimePod([ranContainer('main')]),
      { resize: { pending: { reason: 'Deferred', message: 'later' }, progress: { error: 'no' } } },
      [
        'PodReadyToStartContainers',
        'Initialized',
        'Ready',
        'ContainersReady',
        scheduled,
        'PodResizePending',
        'PodResizeInProgress',
      ],
    ],
  ])('%s', (...[, pod, runtime, more, conditions]) => {
    expect(conditionsOf(statusOf(pod, runtime, more))).toEqual(conditions);
  });

  it('keep their time while they keep their status, and tell the generation', () => {
    const previous = {
      conditions: [
        { type: 'Ready', status: 'True', lastTransitionTime: EARLIER },
        { type: 'ContainersReady', status: 'False', lastTransitionTime: EARLIER },
        { type: 'example.test/other', status: 'True' },
      ],
    };
    const pod = podWith({}, { generation: 3 });
    const status = statusOf(pod, runtimePod([ranContainer('main')]), { previous });
    const byType = Object.fromEntries((status.conditions ?? []).map((c) => [c.type, c]));
    expect(byType.Ready).toMatchObject({ lastTransitionTime: EARLIER, observedGeneration: 3 });
    expect(byType.ContainersReady?.lastTransitionTime).toBe('2026-01-01T00:01:00Z');
    expect(byType['example.test/other']).toEqual({ type: 'example.test/other', status: 'True' });
    expect(status.observedGeneration).toBe(3);
  });
});

describe('container statuses', () => {
  const one = (status: PodStatus) => status.containerStatuses?.[0];

  it('tell what a running container is', () => {
    const resources = { requests: { cpu: '1' }, limits: { cpu: '2' } };
    const pod = podWith({
      containers: [{ name: 'main', resources, volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
    });
    const actuated = () => ({ requests: { cpu: '500m' } });
    expect(one(statusOf(pod, runtimePod([ranContainer('main')]), { actuated }))).toMatchObject({
      ready: true,
      started: true,
      restartCount: 0,
      containerID: 'containerd://id-main-0',
      imageID: 'sha256:1',
      state: { running: { startedAt: '1970-01-01T00:00:02Z' } },
      allocatedResources: { cpu: '1' },
      resources: { requests: { cpu: '500m' } },
      volumeMounts: [{ name: 'v', mountPath: '/v' }],
    });
  });

  it.each([
    [0, '', 'Completed'],
    [1, '', 'Error'],
    [137, 'OOMKilled', 'OOMKilled'],
  ])('tell the end with exit code %i and reason %j as %s', (code, reason, told) => {
    const runtime = runtimePod([exited('main', code, { reason, message: 'why' })]);
    expect(one(statusOf(podWith(never), runtime))?.state?.terminated).toMatchObject({
      exitCode: code,
      reason: told,
      message: 'why',
      finishedAt: '1970-01-01T00:00:03Z',
    });
  });

  it('share 12 KiB for their messages', () => {
    const containers = Array.from({ length: 6 }, (_, i) => ({ name: `c${i}` }));
    const runs = containers.map(({ name }) => exited(name, 1, { message: 'x'.repeat(4096) }));
    const { containerStatuses = [] } = statusOf(
      podWith({ ...never, containers }),
      runtimePod(runs),
    );
    const lengths = containerStatuses.map((s) => s.state?.terminated?.message?.length);
    expect(lengths).toEqual(Array(6).fill(2048));
  });

  it('show the run before as the last state', () => {
    const runtime = runtimePod([ranContainer('main', { attempt: 1 }), exited('main', 3)]);
    expect(one(statusOf(podWith(), runtime))).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 3 } },
    });
  });

  it('show why a container waits, and its end as its last state', () => {
    const waiting = new Map([['main', { reason: 'CrashLoopBackOff', message: 'back-off 10s' }]]);
    expect(one(statusOf(podWith(), runtimePod([exited('main', 1)]), { waiting }))).toMatchObject({
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
      lastState: { terminated: { exitCode: 1 } },
    });
  });

  it('call a container that ran and of which nothing is left lost', () => {
    const running = { name: 'main', image: 'i', imageID: '', ready: true, restartCount: 2 };
    const previous = {
      containerStatuses: [
        { ...running, containerID: 'containerd://x', state: { running: { startedAt: EARLIER } } },
      ],
    };
    const status = statusOf(podWith(), emptyRuntimePod('uid-1'), { previous });
    expect(one(status)).toMatchObject({
      restartCount: 3,
      state: { waiting: { reason: 'ContainerCreating' } },
      lastState: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } },
    });
  });

  it('keep what was told of a container whose record the runtime has dropped', () => {
    const previous = {
      containerStatuses: [
        {
          name: 'main',
          image: 'i',
          imageID: '',
          ready: false,
          restartCount: 4,
          state: { terminated: { exitCode: 5 } },
        },
      ],
    };
    const status = statusOf(podWith(never), emptyRuntimePod('uid-1'), { previous, over: true });
    expect(one(status)).toMatchObject({ restartCount: 4, state: { terminated: { exitCode: 5 } } });
    expect(status.phase).toBe('Failed');
  });
});

describe('addresses', () => {
  it('are the sandbox’s, or the node’s on its network', () => {
    const runtime = runtimePod([ranContainer('main')], { ips: ['10.0.0.1', 'fd00::1'] });
    expect(statusOf(podWith(), runtime)).toMatchObject({
      hostIP: '192.0.2.10',
      podIP: '10.0.0.1',
      podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
    });
    expect(statusOf(podWith({ hostNetwork: true }), runtime).podIP).toBe('192.0.2.10');
  });
});
