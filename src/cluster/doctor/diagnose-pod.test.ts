import { describe, expect, it } from 'vitest';
import type { Event, Node, Pod } from '../../api/types.ts';
import { diagnosePod } from './diagnose-pod.ts';

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
const ended = (terminated: Fields) => ({
  podIP: '10.244.0.5',
  containerStatuses: [{ name: 'main', state: { terminated } }],
});
const deleted = (metadata: Fields) => {
  const one = pod({});
  return { ...one, metadata: { ...one.metadata, deletionTimestamp: 'noon', ...metadata } } as Pod;
};
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
      'whose container has ended',
      pod(ended({ reason: 'OOMKilled', exitCode: 137 })),
      [],
      node('True'),
      'container',
      'OOMKilled, exit code 137: it wanted more memory',
      'logs web -c main',
    ],
    [
      'that waits for its first container',
      pod({
        podIP: '10.244.0.5',
        initContainerStatuses: [{ name: 'first', state: { running: { startedAt: 'noon' } } }],
      }),
      [],
      node('True'),
      'init container',
      'first runs since noon',
      'logs web -c first',
    ],
    [
      'that was evicted',
      pod({ phase: 'Failed', reason: 'Evicted', message: 'low on memory' }),
      [],
      node('True'),
      'pod',
      'Evicted: low on memory',
      'describe node a',
    ],
    [
      'that somebody holds',
      deleted({ finalizers: ['x/y'] }),
      [],
      node('True'),
      'finalizers',
      'whoever removes x/y',
      'get pod web -o yaml',
    ],
    ['that is ending', deleted({}), [], node('True'), 'kubelet', 'given until noon', 'k8ts doctor'],
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
