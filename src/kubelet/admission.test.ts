import { describe, expect, it } from 'vitest';
import type { Node, Pod } from '../api/types.ts';
import { Admission } from './admission.ts';
import { podWith } from './pods.fake.ts';
import { preemptionVictims } from './preemption.ts';

const CRITICAL = 2_000_000_000;

/** A pod that asks for so much of the processor (and, to be guaranteed, of the memory). */
function asking(name: string, cpu: string, { priority = 0, guaranteed = false } = {}): Pod {
  const requests = guaranteed ? { cpu, memory: '1Mi' } : { cpu };
  const resources = guaranteed ? { requests, limits: requests } : { requests };
  return podWith({ priority, containers: [{ name: 'main', resources }] }, { uid: name, name });
}

const withPort = (name: string, hostIP?: string): Pod =>
  podWith(
    {
      containers: [
        {
          name: 'main',
          ports: [{ containerPort: 80, hostPort: 8080, ...(hostIP ? { hostIP } : {}) }],
        },
      ],
    },
    { uid: name, name },
  );

interface Given {
  node?: Partial<Node>;
  others?: Pod[];
  ending?: string[];
}

const admission = ({ node = {}, others = [], ending = [] }: Given = {}): Admission =>
  new Admission({
    node: () => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, ...node }) as Node,
    allocatable: () => ({ cpu: '2', memory: '100Mi', pods: '10' }),
    abilities: () => ({ allowedSysctls: [], apparmor: false, strictGroups: false }),
    pressure: () => undefined,
    others: () => others,
    isEnding: (pod) => ending.includes(pod.metadata.uid),
  });

describe('Admission.refusal', () => {
  it('has upstream’s words for too little of a resource', () => {
    const others = [asking('other', '1500m')];
    expect(admission({ others }).refusal(asking('new', '1'))).toEqual({
      reason: 'OutOfcpu',
      message:
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000",
    });
  });

  it.each([
    [undefined, '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.1', true],
    ['0.0.0.0', '10.0.0.1', true],
    ['10.0.0.2', '10.0.0.1', false],
  ])('host port on %s beside one on %s: refused %s', (mine, theirs, refused) => {
    const others = [withPort('other', theirs)];
    const found = admission({ others }).refusal(withPort('new', mine));
    expect(found?.reason).toBe(refused ? 'NodePorts' : undefined);
  });

  it('keeps a pod from a node with a NoExecute taint that it does not tolerate', () => {
    const taints = [{ key: 'k', value: 'v', effect: 'NoExecute' }];
    const tainted = admission({ node: { spec: { taints } } });
    expect(tainted.refusal(podWith())?.reason).toBe('TaintToleration');
    const tolerations = [{ key: 'k', operator: 'Equal', value: 'v' }];
    expect(tainted.refusal(podWith({ tolerations }))).toBeUndefined();
    expect(tainted.refusal(podWith({ tolerations: [{ operator: 'Exists' }] }))).toBeUndefined();
    const file = { 'kubernetes.io/config.source': 'file' };
    expect(tainted.refusal(podWith({}, { annotations: file }))).toBeUndefined();
  });
});

describe('Admission.victims', () => {
  const critical = asking('critical', '1', { priority: CRITICAL });

  it('are pods that make room for a critical one', () => {
    const others = [asking('a', '500m'), asking('b', '1500m')];
    const names = admission({ others })
      .victims(critical)
      ?.map((p) => p.metadata.name);
    expect(names).toEqual(['b']);
  });

  it('are none while those that end already make room', () => {
    const others = [asking('a', '500m'), asking('b', '1500m')];
    expect(admission({ others, ending: ['b'] }).victims(critical)).toEqual([]);
  });

  it('are not asked of an ordinary pod, nor where critical ones hold the room', () => {
    const others = [asking('b', '2')];
    expect(admission({ others }).victims(asking('new', '1'))).toBeUndefined();
    const same = [asking('other', '2', { priority: CRITICAL })];
    expect(admission({ others: same }).victims(critical)).toBeUndefined();
  });

  it('do not help a pod that another pod’s end cannot help', () => {
    const node = { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } };
    expect(admission({ node, others: [asking('b', '2')] }).victims(critical)).toBeUndefined();
  });
});

describe('preemptionVictims', () => {
  const victims = (missing: number, ...pods: Pod[]): string[] | undefined =>
    preemptionVictims([{ resource: 'cpu', missing }], pods)?.map((p) => p.metadata.name);

  it('spares guaranteed pods as long as others are enough', () => {
    const guaranteed = asking('guaranteed', '1', { guaranteed: true });
    expect(victims(1000, guaranteed, asking('burstable', '1'))).toEqual(['burstable']);
  });

  it('takes the one that is enough alone, the smaller of two alike', () => {
    expect(
      victims(900, asking('big', '2'), asking('fits', '1'), asking('small', '500m')),
    ).toHaveLength(1);
  });

  it('are undefined when all together are not enough', () => {
    expect(victims(5000, asking('a', '1'), asking('b', '1'))).toBeUndefined();
  });
});
