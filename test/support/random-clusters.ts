import fc from 'fast-check';
import type { Node, PodSpec } from '../../src/api/types.ts';
import { makeNode } from '../../src/scheduler/objects.fake.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const APPS = ['web', 'db', 'cache'] as const;

export const anyApp = fc.constantFrom(...APPS);
const selector = anyApp.map((name) => ({ matchLabels: { app: name } }));
const topologyKey = fc.constantFrom(HOST, ZONE);
const term = fc.record({ labelSelector: selector, topologyKey });
const maybe = <T>(arbitrary: fc.Arbitrary<T>, freq = 3) =>
  fc.option(arbitrary, { nil: undefined, freq });

export const anyPodSpec: fc.Arbitrary<Partial<PodSpec>> = fc
  .record({
    affinity: maybe(term),
    anti: maybe(term),
    spread: maybe(
      fc.record({
        maxSkew: fc.integer({ min: 1, max: 2 }),
        topologyKey,
        labelSelector: selector,
        minDomains: maybe(fc.integer({ min: 1, max: 4 })),
      }),
    ),
    zone: maybe(fc.constantFrom('a', 'b')),
    not: maybe(fc.constantFrom('a', 'b')),
    tolerates: fc.boolean(),
    hostPort: maybe(fc.integer({ min: 80, max: 82 })),
    cpu: fc.integer({ min: 0, max: 8 }),
    priority: fc.integer({ min: 0, max: 3 }),
  })
  .map((shape) => specOf(shape));

interface Shape {
  affinity: object | undefined;
  anti: object | undefined;
  spread: { minDomains: number | undefined; maxSkew: number; topologyKey: string } | undefined;
  zone: string | undefined;
  not: string | undefined;
  tolerates: boolean;
  hostPort: number | undefined;
  cpu: number;
  priority: number;
}

function specOf(shape: Shape): Partial<PodSpec> {
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const { minDomains, ...spread } = shape.spread ?? { minDomains: undefined };
  const affinity = {
    ...(shape.affinity ? { podAffinity: { [required]: [shape.affinity] } } : {}),
    ...(shape.anti ? { podAntiAffinity: { [required]: [shape.anti] } } : {}),
    ...(shape.not
      ? {
          nodeAffinity: {
            [required]: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: ZONE, operator: 'NotIn', values: [shape.not] }] },
              ],
            },
          },
        }
      : {}),
  };
  return {
    affinity,
    priority: shape.priority,
    containers: [
      {
        name: 'main',
        image: 'pause',
        resources: { requests: shape.cpu > 0 ? { cpu: `${shape.cpu * 100}m` } : {} },
        ...(shape.hostPort ? { ports: [{ containerPort: 80, hostPort: shape.hostPort }] } : {}),
      },
    ],
    ...(shape.spread
      ? {
          topologySpreadConstraints: [
            {
              ...spread,
              ...(minDomains ? { minDomains } : {}),
              whenUnsatisfiable: 'DoNotSchedule',
            },
          ],
        }
      : {}),
    ...(shape.zone ? { nodeSelector: { [ZONE]: shape.zone } } : {}),
    ...(shape.tolerates ? { tolerations: [{ key: 'dedicated', operator: 'Exists' }] } : {}),
  } as unknown as Partial<PodSpec>;
}

export const anyNode = fc.record({
  zone: maybe(fc.constantFrom('a', 'b', 'c'), 6),
  tainted: fc.boolean(),
  cordoned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  cpu: fc.integer({ min: 4, max: 20 }),
  pods: fc.integer({ min: 1, max: 8 }),
});
type AnyNode = typeof anyNode extends fc.Arbitrary<infer T> ? T : never;

export function buildNode(name: string, { zone, tainted, cordoned, cpu, pods }: AnyNode): Node {
  const labels = zone ? { [ZONE]: zone } : {};
  const node = makeNode(name, { cpu: `${cpu * 100}m`, pods: String(pods), labels });
  const taints = tainted ? [{ key: 'dedicated', value: 'x', effect: 'NoSchedule' }] : [];
  return { ...node, spec: { taints, unschedulable: cordoned } };
}
