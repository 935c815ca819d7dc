import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { tracesOfGonePods } from '../support/pod-traces.ts';
import { inPhase, podOf, shell } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'lifecycle');
const journal = join(tmpdir(), `k8ts-journal-${process.pid}`);
const volumes = [{ name: 'journal', hostPath: { path: journal, type: 'DirectoryOrCreate' } }];
const volumeMounts = [{ name: 'journal', mountPath: '/j' }];
beforeAll(() => rmSync(journal, { recursive: true, force: true }));
afterAll(() => rmSync(journal, { recursive: true, force: true }));

/** What the containers of a Pod wrote down, one word a line. */
const lines = (name: string): string[] =>
  readFileSync(join(journal, name), 'utf8').trim().split('\n');
const ready = (name: string) =>
  ns.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');
const describePod = (name: string) => ns.kubectl('describe', 'pod', name);

describe.concurrent('init containers', () => {
  it('run in order, then the sidecar serves the container and ends after it', async () => {
    const say = (word: string) => `echo ${word} >> /j/order`;
    const trap = (word: string) =>
      `trap '${say(`${word}-ends`)}; exit 0' TERM; ${say(word)}; while :; do sleep 0.1; done`;
    await ns.apply(
      podOf('order', [shell('main', trap('main'), { volumeMounts })], {
        volumes,
        terminationGracePeriodSeconds: 60, // For all of them; each ends as soon as it is told to.
        restartPolicy: 'Always',
        initContainers: [
          shell('first', say('first'), { volumeMounts }),
          shell('side-a', trap('side-a'), {
            volumeMounts,
            restartPolicy: 'Always',
            startupProbe: { exec: { command: ['grep', 'side-a', '/j/order'] }, periodSeconds: 1 },
          }),
          shell('side-b', trap('side-b'), { volumeMounts, restartPolicy: 'Always' }),
          shell('second', `sleep 0.3; ${say('second')}`, { volumeMounts }),
        ],
      }),
    );
    await ready('order');
    await eventually('all have begun', () => lines('order').length === 5);
    expect(lines('order')).toEqual(['first', 'side-a', 'side-b', 'second', 'main']);
    const { status } = await ns.get('pod', 'order');
    const names = (s: { name: string; ready: boolean }) => `${s.name} ${s.ready}`;
    expect(status.initContainerStatuses.map(names)).toEqual([
      'first true',
      'side-a true',
      'side-b true',
      'second true',
    ]);
    await ns.kubectl('delete', 'pod', 'order');
    expect(lines('order').slice(5)).toEqual(['main-ends', 'side-b-ends', 'side-a-ends']);
  });

  it('that fail are tried again by policy Always, and the containers wait', async () => {
    const failing = shell('init', 'exit 3');
    const spec = { initContainers: [failing], restartPolicy: 'Always' };
    await ns.apply(podOf('retrying', [shell('main', 'sleep 3600')], spec));
    const pod = await eventually('the second failure', async () => {
      const found = await ns.get('pod', 'retrying');
      return found.status.initContainerStatuses?.[0].restartCount >= 1 ? found : undefined;
    });
    expect(pod.status.phase).toBe('Pending');
    const [init] = pod.status.initContainerStatuses;
    expect(init.lastState.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
    expect(pod.status.containerStatuses[0].state.waiting.reason).toBe('PodInitializing');
    const initialized = pod.status.conditions.find(
      (c: { type: string }) => c.type === 'Initialized',
    );
    expect(initialized).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [init]',
      observedGeneration: 1,
    });
    await ns.kubectl('delete', 'pod', 'retrying');
  });

  it('that fail end the Pod by policy Never', async () => {
    const initContainers = [shell('init', 'exit 1'), shell('never', 'true')];
    await ns.apply(podOf('given-up', [shell('main', 'sleep 3600')], { initContainers }));
    const { status } = await inPhase(ns, 'given-up', 'Failed');
    expect(status.initContainerStatuses[0].state.terminated.exitCode).toBe(1);
    expect(status.containerStatuses[0].state.waiting.reason).toBe('PodInitializing');
  });
});

describe.concurrent('the end of a container', () => {
  const endOf = async (name: string) => {
    const { status } = await inPhase(ns, name, 'Succeeded', 'Failed');
    return { phase: status.phase, message: '', ...status.containerStatuses[0].state.terminated };
  };

  it.each([
    ['succeeds', 'exit 0', {}, { phase: 'Succeeded', exitCode: 0, reason: 'Completed' }],
    ['fails', 'exit 7', {}, { phase: 'Failed', exitCode: 7, reason: 'Error' }],
    [
      'leaves-a-message',
      'printf DONE > /dev/termination-log',
      {},
      { phase: 'Succeeded', message: 'DONE' },
    ],
    [
      'leaves-one-elsewhere',
      'printf DONE > /dev/custom-log',
      { terminationMessagePath: '/dev/custom-log', securityContext: { runAsUser: 1000 } },
      { phase: 'Succeeded', message: 'DONE' },
    ],
    [
      'falls-back-to-the-log',
      'printf DONE; exit 1',
      { terminationMessagePolicy: 'FallbackToLogsOnError' },
      { phase: 'Failed', message: 'DONE' },
    ],
    [
      'keeps-quiet-on-success',
      'echo DONE',
      { terminationMessagePolicy: 'FallbackToLogsOnError' },
      { phase: 'Succeeded', message: '' },
    ],
    [
      'takes-too-much-memory',
      'x=a; while :; do x=$x$x; done',
      { resources: { limits: { memory: '16Mi' } } },
      { phase: 'Failed', exitCode: 137, reason: 'OOMKilled' },
    ],
  ])('that %s is told', async (name, script, fields, told) => {
    await ns.apply(podOf(name, [shell('main', script, fields)]));
    expect(await endOf(name)).toMatchObject(told);
  });

  it('whose command does not exist is told', async () => {
    const command = ['/no/such/program'];
    await ns.apply(podOf('no-command', [shell('main', '', { command })]));
    const end = await endOf('no-command');
    expect(end).toMatchObject({ phase: 'Failed', exitCode: 128, reason: 'StartError' });
    expect(end.message).toMatch(/no such file/);
  });

  it('at the deadline of the Pod is the end of the Pod', async () => {
    await ns.apply(podOf('late', [shell('main', 'sleep 3600')], { activeDeadlineSeconds: 1 }));
    const { status } = await inPhase(ns, 'late', 'Failed');
    expect(status).toMatchObject({
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
  });
});

describe.concurrent('restarts', () => {
  it('follow the rules of a container before the policy of its Pod', async () => {
    const restartPolicyRules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }];
    const script = 'test -f /j/rule && exit 1; touch /j/rule; exit 42';
    await ns.apply(
      podOf(
        'ruled',
        [shell('main', script, { volumeMounts, restartPolicy: 'Never', restartPolicyRules })],
        { volumes },
      ),
    );
    const { status } = await inPhase(ns, 'ruled', 'Failed');
    expect(status.containerStatuses[0]).toMatchObject({ restartCount: 1 });
    expect(status.containerStatuses[0].state.terminated.exitCode).toBe(1);
  });

  it('of all containers begin with the init containers again', async () => {
    const restartPolicyRules = [
      { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [9] } },
    ];
    const script = 'test -f /j/all && sleep 3600; touch /j/all; sleep 1; exit 9';
    await ns.apply(
      podOf(
        'anew',
        [
          shell('steady', 'echo steady >> /j/anew; sleep 3600', { volumeMounts }),
          shell('asking', script, { volumeMounts, restartPolicy: 'Never', restartPolicyRules }),
        ],
        { volumes, initContainers: [shell('init', 'echo init >> /j/anew', { volumeMounts })] },
      ),
    );
    await eventually('the second round', () => lines('anew').length === 4);
    expect(lines('anew')).toEqual(['init', 'steady', 'init', 'steady']);
    await eventually('all run again', async () => {
      const { status } = await ns.get('pod', 'anew');
      const counts = status.containerStatuses.map(
        (s: { restartCount: number; state: { running?: object } }) =>
          `${s.restartCount} ${s.state.running !== undefined}`,
      );
      return counts.join() === '1 true,1 true';
    });
    expect(await ns.kubectl('get', 'pod', 'anew', '-o', 'json')).not.toContain(
      'AllContainersRestarting',
    );
  });

  it('wait longer each time, and say so', async () => {
    await ns.apply(podOf('crashing', [shell('main', 'exit 1')], { restartPolicy: 'Always' }));
    const status = await eventually('the back-off', async () => {
      const [found] = (await ns.get('pod', 'crashing')).status.containerStatuses ?? [];
      return found?.state.waiting?.reason === 'CrashLoopBackOff' ? found : undefined;
    });
    expect(status.state.waiting.message).toMatch(
      /^back-off 10s restarting failed container=main pod=crashing_lifecycle\(/,
    );
    expect(status.lastState.terminated).toMatchObject({ exitCode: 1, reason: 'Error' });
    await eventually('the event', async () =>
      /Warning +BackOff .*Back-off restarting failed container main in pod crashing_lifecycle/.test(
        await describePod('crashing'),
      ),
    );
    await ns.kubectl('delete', 'pod', 'crashing');
  });
});

const ENDS_WHEN_TOLD = 'trap "exit 0" TERM; while :; do sleep 0.1; done';

describe.concurrent('hooks', () => {
  const exec = (script: string) => ({ exec: { command: ['sh', '-c', script] } });

  it('run after the start and before the stop', async () => {
    const lifecycle = {
      postStart: exec('echo started >> /j/hooks'),
      preStop: exec('echo stopping >> /j/hooks'),
    };
    await ns.apply(
      podOf('hooked', [shell('main', ENDS_WHEN_TOLD, { volumeMounts, lifecycle })], {
        volumes,
        terminationGracePeriodSeconds: 60,
      }),
    );
    await ready('hooked');
    expect(lines('hooks')).toEqual(['started']);
    await ns.kubectl('delete', 'pod', 'hooked');
    expect(lines('hooks')).toEqual(['started', 'stopping']);
  });

  it('may only sleep', async () => {
    const lifecycle = { preStop: { sleep: { seconds: 2 } } };
    await ns.apply(
      podOf('sleepy', [shell('main', ENDS_WHEN_TOLD, { lifecycle })], {
        terminationGracePeriodSeconds: 30,
      }),
    );
    await ready('sleepy');
    const begin = Date.now();
    await ns.kubectl('delete', 'pod', 'sleepy');
    expect(Date.now() - begin).toBeGreaterThan(1900);
    expect(Date.now() - begin).toBeLessThan(30_000); // What it is given at most.
  });

  it('that take their time hold back that the container runs, not that it could be started', async () => {
    const lifecycle = { postStart: exec('until [ -e /j/go ]; do sleep 0.1; done') };
    await ns.apply(
      podOf('slowly', [shell('main', 'sleep 3600', { volumeMounts, lifecycle })], { volumes }),
    );
    const pod = await eventually('its sandbox is told of', async () => {
      const found = await ns.get('pod', 'slowly');
      const isUp = (c: { type: string; status: string }) =>
        c.type === 'PodReadyToStartContainers' && c.status === 'True';
      return found.status.conditions?.some(isUp) ? found : undefined;
    });
    expect(pod.status.phase).toBe('Pending');
    expect(pod.status.podIP).toMatch(/^\d/);
    writeFileSync(join(journal, 'go'), '');
    await ready('slowly');
  });

  it('that fail after the start end the container, not without the one before its end', async () => {
    const preStop = exec('echo so long > /dev/termination-log');
    const lifecycle = { postStart: exec('exit 5'), preStop };
    const script = 'trap "exit 7" TERM; sleep 3600 & wait';
    await ns.apply(
      podOf('unhooked', [shell('main', script, { lifecycle })], {
        terminationGracePeriodSeconds: 30,
      }),
    );
    await inPhase(ns, 'unhooked', 'Failed');
    const told = await eventually('the event', async () => {
      const text = await describePod('unhooked');
      return /Warning +FailedPostStartHook/.test(text) && text;
    });
    expect(told).toMatch(/Message: +so long/);
  });

  it('are cut off by a later delete that leaves less time', async () => {
    const lifecycle = { preStop: { sleep: { seconds: 60 } } };
    await ns.apply(
      podOf('impatient', [shell('main', 'sleep 3600', { lifecycle })], {
        terminationGracePeriodSeconds: 90,
      }),
    );
    await ready('impatient');
    await ns.kubectl('delete', 'pod', 'impatient', '--wait=false');
    await eventually('it is ending', async () =>
      (await describePod('impatient')).includes('Terminating'),
    );
    await ns.kubectl('delete', 'pod', 'impatient', '--grace-period=1');
  });
});

describe.concurrent('a Pod that runs', () => {
  it('gets more resources and keeps its containers', async () => {
    const resources = {
      requests: { cpu: '10m', memory: '16Mi' },
      limits: { cpu: '100m', memory: '32Mi' },
    };
    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
    await ns.apply(
      podOf(
        'growing',
        [
          shell('kept', 'sleep 3600', { resources }),
          shell('renewed', 'sleep 3600', { resources, resizePolicy }),
        ],
        { restartPolicy: 'Always' },
      ),
    );
    await ready('growing');
    const more = {
      requests: { cpu: '20m', memory: '24Mi' },
      limits: { cpu: '200m', memory: '48Mi' },
    };
    const containers = ['kept', 'renewed'].map((name) => ({ name, resources: more }));
    const patch = JSON.stringify({ spec: { containers } });
    await ns.kubectl('patch', 'pod', 'growing', '--subresource=resize', '-p', patch);
    const { status } = await eventually('the resize', async () => {
      const pod = await ns.get('pod', 'growing');
      const done = pod.status.containerStatuses.every(
        (s: { resources?: { limits?: { memory?: string } } }) =>
          s.resources?.limits?.memory === '48Mi',
      );
      return done ? pod : undefined;
    });
    const [kept, renewed] = status.containerStatuses;
    expect(kept).toMatchObject({ restartCount: 0, resources: more });
    expect(renewed).toMatchObject({ restartCount: 1, resources: more });
    expect(kept.allocatedResources).toEqual(more.requests);
    expect(status.observedGeneration).toBe(2);
    await eventually('an event tells it, and no condition is left', async () => {
      const text = await describePod('growing');
      return /Normal +ResizeCompleted/.test(text) && !/PodResize/.test(text);
    });
    const tooMuch = JSON.stringify({
      spec: {
        containers: [
          { name: 'kept', resources: { requests: { cpu: '900' }, limits: { cpu: '900' } } },
        ],
      },
    });
    await ns.kubectl('patch', 'pod', 'growing', '--subresource=resize', '-p', tooMuch);
    const pending = await eventually('the refusal', async () => {
      const pod = await ns.get('pod', 'growing');
      return pod.status.conditions.find((c: { type: string }) => c.type === 'PodResizePending');
    });
    expect(pending).toMatchObject({
      status: 'True',
      reason: 'Infeasible',
      message: expect.stringMatching(/^Node didn't have enough capacity: cpu, requested: 900\d+/),
    });
    await ns.kubectl('delete', 'pod', 'growing');
  });

  it('gets more resources as a whole, which containers without their own share', async () => {
    const resources = (memory: string) => ({ requests: { cpu: '10m' }, limits: { memory } });
    const containers = ['a', 'b'].map((name) => shell(name, 'sleep 3600'));
    await ns.apply(podOf('whole', containers, { resources: resources('32Mi') }));
    await ready('whole');
    const patch = JSON.stringify({ spec: { resources: resources('48Mi') } });
    await ns.kubectl('patch', 'pod', 'whole', '--subresource=resize', '-p', patch);
    const { status } = await eventually('the resize', async () => {
      const pod = await ns.get('pod', 'whole');
      return pod.status.resources?.limits?.memory === '48Mi' ? pod : undefined;
    });
    expect(status.containerStatuses.map((s: { restartCount: number }) => s.restartCount)).toEqual([
      0, 0,
    ]);
    expect(status.conditions.map((c: { type: string }) => c.type)).not.toContain(
      'PodResizePending',
    );
    const limit =
      'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes';
    const held = await ns.kubectl('exec', 'whole', '-c', 'a', '--', 'sh', '-c', limit);
    expect(Number(held)).toBe(48 * 2 ** 20);
  });

  it('takes an ephemeral container', async () => {
    await ns.apply(podOf('debugged', [shell('main', 'sleep 3600')]));
    await ready('debugged');
    const ephemeralContainers = [
      {
        ...shell('debug', 'echo hello'),
        targetContainerName: 'main',
        terminationMessagePolicy: 'File',
      },
    ];
    const patch = JSON.stringify({ spec: { ephemeralContainers } });
    await ns.kubectl('patch', 'pod', 'debugged', '--subresource=ephemeralcontainers', '-p', patch);
    await eventually('it ran', async () => {
      const { status } = await ns.get('pod', 'debugged');
      return status.ephemeralContainerStatuses?.[0].state.terminated?.exitCode === 0;
    });
    expect(await ns.kubectl('logs', 'debugged', '-c', 'debug')).toBe('hello\n');
  });
});

describe('Pods that are gone', () => {
  it('leave nothing behind', async () => {
    await ns.kubectl('delete', 'pods', '--all', '--now');
    await eventually('no trace is left', async () => {
      const traces = await tracesOfGonePods(cluster);
      if (traces.length > 0) throw new Error(traces.join('\n'));
      return true;
    });
  });
});
