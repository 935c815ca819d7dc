import { describe, expect, it } from 'vitest';
import type { Container, Pod } from '../api/types.ts';
import { computePodActions, type PodActions, type Verdicts } from './pod-actions.ts';
import { exited, podWith, ranContainer, runtimePod } from './pods.fake.ts';
import { emptyRuntimePod, type RuntimePod } from './runtime-pod.ts';

const GOOD: Verdicts = {
  liveness: () => true,
  startup: () => true,
  resizeNeed: () => undefined,
};

/** The actions by the names of the containers. */
function named(actions: PodActions) {
  const names = (list: readonly { name: string }[]): string => list.map((c) => c.name).join();
  return {
    killPod: actions.killPod,
    restartAll: actions.restartAll,
    sandbox: actions.createSandbox,
    kill: actions.kill.map((k) => `${k.spec.name}:${k.why}`).join(),
    resize: actions.resize.map((r) => r.spec.name).join(),
    init: names(actions.startInit),
    start: names(actions.start),
    ephemeral: names(actions.startEphemeral),
  };
}

const NONE: ReturnType<typeof named> = {
  killPod: false,
  restartAll: false,
  sandbox: undefined,
  kill: '',
  resize: '',
  init: '',
  start: '',
  ephemeral: '',
};

interface Case {
  title: string;
  pod: Pod;
  runtime: RuntimePod;
  verdicts?: Partial<Verdicts>;
  does: Partial<ReturnType<typeof named>>;
}

const two = [{ name: 'a' }, { name: 'b' }];
const init = [{ name: 'i1' }, { name: 'i2' }];
const sidecar: Partial<Container> = { name: 'side', restartPolicy: 'Always' };

const CASES: Case[] = [
  {
    title: 'starts everything of a new pod',
    pod: podWith({ containers: two }),
    runtime: emptyRuntimePod('uid-1'),
    does: { sandbox: 0, start: 'a,b' },
  },
  {
    title: 'starts the first init container alone',
    pod: podWith({ initContainers: init }),
    runtime: emptyRuntimePod('uid-1'),
    does: { sandbox: 0, init: 'i1' },
  },
  {
    title: 'does nothing while all run',
    pod: podWith({ containers: two }),
    runtime: runtimePod([ranContainer('a'), ranContainer('b')]),
    does: {},
  },
  {
    title: 'starts the container that is missing',
    pod: podWith({ containers: two }),
    runtime: runtimePod([ranContainer('a')]),
    does: { start: 'b' },
  },
  {
    title: 'restarts an ended container by policy Always',
    pod: podWith({ containers: two }),
    runtime: runtimePod([ranContainer('a'), exited('b', 0)]),
    does: { start: 'b' },
  },
  {
    title: 'leaves a successful container by policy OnFailure',
    pod: podWith({ containers: two, restartPolicy: 'OnFailure' }),
    runtime: runtimePod([ranContainer('a'), exited('b', 0)]),
    does: {},
  },
  {
    title: 'restarts a failed container by policy OnFailure',
    pod: podWith({ containers: two, restartPolicy: 'OnFailure' }),
    runtime: runtimePod([ranContainer('a'), exited('b', 1)]),
    does: { start: 'b' },
  },
  {
    title: 'takes the sandbox down when nothing is left to run',
    pod: podWith({ restartPolicy: 'Never' }),
    runtime: runtimePod([exited('main', 1)]),
    does: { killPod: true },
  },
  {
    title: "follows a container's own policy before the pod's",
    pod: podWith({ containers: [{ name: 'a', restartPolicy: 'Always' }], restartPolicy: 'Never' }),
    runtime: runtimePod([exited('a', 0)]),
    does: { start: 'a' },
  },
  {
    title: 'follows a rule about the exit code before the policy',
    pod: podWith({
      containers: [
        {
          name: 'a',
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
        },
      ],
      restartPolicy: 'Never',
    }),
    runtime: runtimePod([exited('a', 42)]),
    does: { start: 'a' },
  },
  {
    title: 'starts the second init container after the first has succeeded',
    pod: podWith({ initContainers: init }),
    runtime: runtimePod([exited('i1', 0)]),
    does: { init: 'i2' },
  },
  {
    title: 'waits for a running init container',
    pod: podWith({ initContainers: init }),
    runtime: runtimePod([ranContainer('i1')]),
    does: {},
  },
  {
    title: 'tries a failed init container again',
    pod: podWith({ initContainers: init }),
    runtime: runtimePod([exited('i1', 1)]),
    does: { init: 'i1' },
  },
  {
    title: 'gives up on a failed init container by policy Never',
    pod: podWith({ initContainers: init, restartPolicy: 'Never' }),
    runtime: runtimePod([exited('i1', 1)]),
    does: { killPod: true },
  },
  {
    title: 'starts the containers after the last init container',
    pod: podWith({ initContainers: init, containers: two }),
    runtime: runtimePod([exited('i2', 0), exited('i1', 0)]),
    does: { start: 'a,b' },
  },
  {
    title: 'takes an init container as done when a later one ran and its record is gone',
    pod: podWith({ initContainers: init }),
    runtime: runtimePod([exited('i2', 0)]),
    does: { start: 'main' },
  },
  {
    title: 'goes on after a sidecar that has started',
    pod: podWith({ initContainers: [sidecar, { name: 'i1' }] }),
    runtime: runtimePod([ranContainer('side')]),
    does: { init: 'i1' },
  },
  {
    title: 'holds the next one back until the sidecar has passed its startup probe',
    pod: podWith({ initContainers: [sidecar, { name: 'i1' }] }),
    runtime: runtimePod([ranContainer('side')]),
    verdicts: { startup: () => undefined },
    does: {},
  },
  {
    title: 'restarts a sidecar that ended, whatever the pod’s policy',
    pod: podWith({ initContainers: [sidecar], restartPolicy: 'Never' }),
    runtime: runtimePod([ranContainer('main'), exited('side', 0)]),
    does: { init: 'side' },
  },
  {
    title: 'ends a pod whose containers are done although a sidecar runs',
    pod: podWith({ initContainers: [sidecar], restartPolicy: 'Never' }),
    runtime: runtimePod([exited('main', 0), ranContainer('side')]),
    does: { killPod: true },
  },
  {
    title: 'kills and starts what failed its liveness probe',
    pod: podWith(),
    runtime: runtimePod([ranContainer('main')]),
    verdicts: { liveness: () => false },
    does: { kill: 'main:liveness', start: 'main' },
  },
  {
    title: 'kills what failed its liveness probe for good by policy Never',
    pod: podWith({ containers: two, restartPolicy: 'Never' }),
    runtime: runtimePod([ranContainer('a'), ranContainer('b')]),
    verdicts: { liveness: (id) => id !== 'id-a-0' },
    does: { kill: 'a:liveness' },
  },
  {
    title: 'kills and starts what failed its startup probe',
    pod: podWith(),
    runtime: runtimePod([ranContainer('main')]),
    verdicts: { startup: () => false },
    does: { kill: 'main:startup', start: 'main' },
  },
  {
    title: 'replaces a container whose image changed, also by policy Never',
    pod: podWith({ containers: [{ name: 'main', image: 'other' }], restartPolicy: 'Never' }),
    runtime: runtimePod([ranContainer('main')]),
    does: { kill: 'main:definition', start: 'main' },
  },
  {
    title: 'changes resources of a running container',
    pod: podWith({ containers: two }),
    runtime: runtimePod([ranContainer('a'), ranContainer('b')]),
    verdicts: { resizeNeed: (spec) => (spec.name === 'a' ? 'update' : undefined) },
    does: { resize: 'a' },
  },
  {
    title: 'restarts a container whose resize policy asks for it',
    pod: podWith({ containers: two }),
    runtime: runtimePod([ranContainer('a'), ranContainer('b')]),
    verdicts: { resizeNeed: (spec) => (spec.name === 'a' ? 'restart' : undefined) },
    does: { kill: 'a:resize', start: 'a' },
  },
  {
    title: 'restarts all by a rule of one',
    pod: podWith({
      containers: [
        { name: 'a' },
        {
          name: 'b',
          restartPolicyRules: [
            { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [7] } },
          ],
        },
      ],
      initContainers: init,
    }),
    runtime: runtimePod([ranContainer('a'), exited('b', 7), exited('i2', 0), exited('i1', 0)]),
    does: { restartAll: true },
  },
  {
    title: 'makes a new sandbox when the old one is gone',
    pod: podWith({ containers: two }),
    runtime: runtimePod([exited('a', 137)], { ready: false }),
    does: { killPod: true, sandbox: 1, start: 'a,b' },
  },
  {
    title: 'begins with the init containers again in a new sandbox',
    pod: podWith({ initContainers: init }),
    runtime: runtimePod([exited('main', 137), exited('i2', 0), exited('i1', 0)], { ready: false }),
    does: { killPod: true, sandbox: 1, init: 'i1' },
  },
  {
    title: 'makes no new sandbox for a pod that is done',
    pod: podWith({ restartPolicy: 'OnFailure' }),
    runtime: runtimePod([exited('main', 0)], { ready: false }),
    does: { killPod: true },
  },
  {
    title: 'makes a new sandbox for one that lost its address',
    pod: podWith(),
    runtime: runtimePod([ranContainer('main')], { ips: [] }),
    does: { killPod: true, sandbox: 1, start: 'main' },
  },
  {
    title: 'starts nothing of a pod that is being deleted',
    pod: podWith({ containers: two }, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    runtime: runtimePod([ranContainer('a'), exited('b', 1)]),
    does: {},
  },
];

describe('computePodActions', () => {
  it.each(CASES)('$title', ({ pod, runtime, verdicts, does }) => {
    const actions = computePodActions(pod, runtime, { ...GOOD, ...verdicts });
    expect(named(actions)).toEqual({ ...NONE, ...does });
  });

  it('starts an ephemeral container once, also while init containers run', () => {
    const pod = podWith({ initContainers: init });
    pod.spec = { ...pod.spec, containers: [], ephemeralContainers: [{ name: 'debug' }] };
    const before = computePodActions(pod, runtimePod([ranContainer('i1')]), GOOD);
    expect(named(before)).toEqual({ ...NONE, ephemeral: 'debug' });
    const after = computePodActions(
      pod,
      runtimePod([exited('debug', 1), ranContainer('i1')]),
      GOOD,
    );
    expect(named(after)).toEqual(NONE);
  });
});
