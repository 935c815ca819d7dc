import { describe, expect, it } from 'vitest';
import type { Event, ResourceQuota } from '../../api/types.ts';
import {
  type AbsenceFacts,
  diagnoseAbsence,
  diagnoseMakers,
  type Maker,
} from './diagnose-makers.ts';

const deployment = (spec = {}, status = {}): Maker => ({
  kind: 'Deployment',
  metadata: { name: 'web', uid: 'd', generation: 2 },
  spec: { replicas: 2, ...spec },
  status: { observedGeneration: 2, ...status },
});
const replicaSet: Maker = {
  kind: 'ReplicaSet',
  metadata: { name: 'web-5c8', uid: 'r', generation: 1, ownerReferences: [{ uid: 'd' }] },
  spec: { replicas: 2 },
  status: { observedGeneration: 1 },
};
const event = (uid: string, reason: string, message: string) =>
  ({ involvedObject: { uid }, reason, message }) as unknown as Event;
const facts = (change: Partial<AbsenceFacts> = {}): AbsenceFacts => ({
  ...{ namespace: 'shop', name: 'web-5c8-abcde', makers: [deployment(), replicaSet] },
  ...{ events: [], quotas: [], pods: new Map() },
  ...change,
});

describe('diagnoseAbsence names why a Pod was not made', () => {
  const quota = {
    metadata: { name: 'small' },
    status: { hard: { pods: '1' }, used: { pods: '1' } },
  } as unknown as ResourceQuota;
  const job = (spec: object, status: object): Maker => ({
    ...{ kind: 'Job', metadata: { name: 'once', uid: 'j', generation: 1 }, spec, status },
  });
  const alone = (maker: Maker) => ({ name: maker.metadata.name, makers: [maker] });
  const cases: [string, Partial<AbsenceFacts>, string, RegExp][] = [
    ['nothing would make it', { makers: [] }, 'pod', /nothing that would make one/],
    [
      'the controller manager is away',
      { makers: [deployment({}, { observedGeneration: 1 })], name: 'web' },
      'controller-manager',
      /has not looked at Deployment web/,
    ],
    ['it is scaled to nothing', alone(deployment({ replicas: 0 })), 'deployment', /no Pods/],
    [
      'the quota is used up',
      {
        events: [event('r', 'FailedCreate', 'forbidden: exceeded quota: small, requested: pods=1')],
        quotas: [quota],
      },
      'quota',
      /exceeded quota: small.*pods: 1 of 1/,
    ],
    [
      'the quota is used up, as the Deployment knows too',
      alone(
        deployment(
          {},
          {
            conditions: [
              { type: 'ReplicaFailure', status: 'True', message: 'exceeded quota: small' },
            ],
          },
        ),
      ),
      'quota',
      /exceeded quota: small/,
    ],
    [
      'admission refuses it',
      { events: [event('r', 'FailedCreate', 'violates PodSecurity "restricted"')] },
      'admission',
      /restricted/,
    ],
    [
      'the API server fails',
      { events: [event('r', 'FailedCreate', 'timeout')] },
      'controller-manager',
      /timeout/,
    ],
    ['the Job is suspended', alone(job({ suspend: true }, {})), 'job', /suspended/],
    ['nobody has begun the Job', alone(job({}, {})), 'controller-manager', /has not looked/],
    [
      'the Job has given up',
      alone(
        job(
          {},
          {
            startTime: 'x',
            conditions: [{ type: 'Failed', status: 'True', message: 'too often' }],
          },
        ),
      ),
      'job',
      /has failed: too often/,
    ],
    [
      'no node fits',
      alone({
        kind: 'DaemonSet',
        metadata: { name: 'agent', generation: 1 },
        status: { observedGeneration: 1, desiredNumberScheduled: 0 },
      }),
      'daemonset',
      /fits no node/,
    ],
    [
      'its time has not come',
      alone({ kind: 'CronJob', metadata: { name: 'nightly' }, spec: { schedule: '0 3 * * *' } }),
      'cronjob',
      /0 3 \* \* \*/,
    ],
    ['others are there', {}, 'pod', /others may have taken its place/],
  ];
  it.each(cases)('since %s', (_, change, about, what) => {
    const last = diagnoseAbsence(facts(change)).at(-1);
    expect(last).toMatchObject({ about, ok: false, what: expect.stringMatching(what) });
    expect(last?.next).toBeTruthy();
  });

  it('forgets a refusal after which one was made', () => {
    const events = [
      event('r', 'FailedCreate', 'exceeded quota: small'),
      event('r', 'SuccessfulCreate', ''),
    ];
    expect(diagnoseMakers(facts({ events })).every(({ ok }) => ok)).toBe(true);
  });
});
