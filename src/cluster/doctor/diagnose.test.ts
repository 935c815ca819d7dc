import { describe, expect, it } from 'vitest';
import type { EndpointSlice, Event, Node, Pod, Service } from '../../api/types.ts';
import { diagnosePod } from './diagnose-pod.ts';
import { diagnoseService } from './diagnose-service.ts';
import { leaderFinding } from './examine-cluster.ts';
import { cgroupFinding, driverFinding } from './examine-machine.ts';
import { render } from './findings.ts';

type Fields = Record<string, unknown>;
const pod = (status: Fields, spec: Fields = { nodeName: 'a' }) =>
  ({
    metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
    spec,
    status,
  }) as unknown as Pod;
const node = (ready: string) =>
  ({
    metadata: { name: 'a' },
    status: { conditions: [{ type: 'Ready', status: ready, message: 'no word from its kubelet' }] },
  }) as unknown as Node;
const warning = (reason: string, message: string) =>
  ({ type: 'Warning', reason, message }) as unknown as Event;
const waiting = (reason: string, message = '') => ({
  podIP: '10.244.0.5',
  containerStatuses: [
    {
      name: 'main',
      state: { waiting: { reason, message } },
      lastState: { terminated: { reason: 'Error', exitCode: 3 } },
    },
  ],
});
const unready = { podIP: '10.244.0.5', containerStatuses: [{ name: 'main', state: {} }] };

describe('diagnosePod names the component, the cause and the next command', () => {
  const cases: [string, Pod, Event[], Node | undefined, string, string, string][] = [
    [
      'that fits nowhere',
      pod(
        {
          conditions: [
            { type: 'PodScheduled', status: 'False', message: '0/1 nodes are available' },
          ],
        },
        {},
      ),
      [],
      undefined,
      'scheduler',
      '0/1 nodes',
      'k8ts explain pod web',
    ],
    [
      'that nobody schedules',
      pod({}, { schedulerName: 'mine' }),
      [],
      undefined,
      'scheduler',
      'asks for mine',
      'k8ts status',
    ],
    [
      'that is gated',
      pod({}, { schedulingGates: [{ name: 'x/y' }] }),
      [],
      undefined,
      'scheduler',
      'x/y',
      'schedulingGates',
    ],
    ['whose node is gone', pod({}), [], undefined, 'node', 'a does not exist', 'get nodes'],
    ['whose node is silent', pod({}), [], node('Unknown'), 'kubelet', 'no word', 'describe node a'],
    [
      'that cannot mount',
      pod({}),
      [warning('FailedMount', 'no such claim')],
      node('True'),
      'volumes',
      'no such claim',
      'describe pod',
    ],
    [
      'without a network',
      pod({}),
      [warning('FailedCreatePodSandBox', 'cni')],
      node('True'),
      'runtime',
      'cni',
      'describe pod',
    ],
    [
      'without its image',
      pod(waiting('ImagePullBackOff', 'not found')),
      [],
      node('True'),
      'images',
      'not found',
      'describe pod',
    ],
    [
      'that crashes',
      pod(waiting('CrashLoopBackOff')),
      [],
      node('True'),
      'container',
      'Error, exit code 3',
      'logs web -c main --previous',
    ],
    [
      'that is not ready',
      pod(unready),
      [warning('Unhealthy', 'refused')],
      node('True'),
      'probes',
      'refused',
      'describe pod',
    ],
  ];
  it.each(cases)('of a Pod %s', (...one) => {
    const [, subject, events, its, about, what, next] = one;
    const last = diagnosePod({ pod: subject, events, node: its }).at(-1);
    expect(last).toMatchObject({ about, ok: false });
    expect(last?.what).toContain(what);
    expect(last?.next).toContain(next);
  });

  it('finds nothing with a Pod that is ready', () => {
    const well = pod({ ...unready, conditions: [{ type: 'Ready', status: 'True' }] });
    expect(diagnosePod({ pod: well, events: [], node: node('True') }).every(({ ok }) => ok)).toBe(
      true,
    );
  });
});

describe('diagnoseService stops where the way of a connection ends', () => {
  const service = {
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      clusterIP: '10.96.1.2',
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: 'http' }],
    },
  } as unknown as Service;
  const ready = pod({ conditions: [{ type: 'Ready', status: 'True' }] });
  const slice = (ports: Fields[]) =>
    ({
      ports,
      endpoints: [{ addresses: ['10.244.0.5'], conditions: { ready: true } }],
    }) as unknown as EndpointSlice;
  const whole = {
    service,
    pods: [ready],
    slices: [slice([{ name: '', port: 8080 }])],
    rules: '-d 10.96.1.2/32',
  };

  it.each([
    ['no Pod', { pods: [] }, 'selector'],
    ['no ready Pod', { pods: [pod({})] }, 'pods'],
    ['no endpoint', { slices: [] }, 'endpoints'],
    ['no such port', { slices: [slice([])] }, 'endpoints'],
    ['no rule', { rules: '' }, 'proxy'],
  ])('with %s', (_, change, about) => {
    const last = diagnoseService({ ...whole, ...change }).at(-1);
    expect(last).toMatchObject({ about, ok: false });
    expect(last?.next).toBeTruthy();
  });

  it('finds nothing with one that is connected', () => {
    const findings = diagnoseService(whole);
    expect(findings.map(({ ok }) => ok)).toEqual([true, true, true, true]);
    expect(render(findings)).toMatch(/^ok {5}selector {3}app=web chooses 1 Pods\n/);
  });
});

describe('what the doctor sees of cgroups and leaders', () => {
  it('tells their version, and a kubelet and a runtime that do not agree', () => {
    expect(cgroupFinding('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0')).toMatchObject({
      what: 'version 2',
    });
    expect(cgroupFinding('x /sys/fs/cgroup/cpu cgroup rw,cpu 0 0')).toMatchObject({ ok: true });
    expect(cgroupFinding('proc /proc proc rw 0 0')).toMatchObject({ ok: false });
    const containerd = '  SystemdCgroup = false\n';
    expect(driverFinding('{"cgroupDriver":"cgroupfs"}', containerd)).toMatchObject({ ok: true });
    expect(driverFinding('{"cgroupDriver":"systemd"}', containerd)).toMatchObject({
      ok: false,
      what: 'the kubelet uses systemd, containerd cgroupfs',
    });
  });

  it('tells who leads, and who does not any more', () => {
    const now = Date.parse('2026-01-01T00:01:00Z');
    const lease = { holderIdentity: 'a_1', leaseDurationSeconds: 15 };
    const at = (renewTime: string) => leaderFinding('kube-scheduler', { ...lease, renewTime }, now);
    expect(at('2026-01-01T00:00:55Z')).toMatchObject({ ok: true, what: 'a_1 leads' });
    expect(at('2026-01-01T00:00:00Z')).toMatchObject({
      ok: false,
      what: 'a_1 led, and has not said so for 60 s',
    });
    expect(leaderFinding('kube-scheduler', {}, now)).toMatchObject({ what: 'nobody leads' });
  });
});
