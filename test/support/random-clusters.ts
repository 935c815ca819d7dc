import type { Node, PodDisruptionBudget, PodSpec } from '../../src/api/types.ts';
import { makeNode } from '../../src/scheduler/objects.fake.ts';
import { fc } from './properties.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const APPS = ['web', 'db', 'cache'] as const;

export const anyApp = fc.constantFrom(...APPS);
const selector = anyApp.map((name) => ({ matchLabels: { app: name } }));
const topologyKey = fc.constantFrom(HOST, ZONE);
const term = fc.record({ labelSelector: selector, topologyKey });
const wish = fc.record({ weight: fc.integer({ min: 1, max: 100 }), podAffinityTerm: term });
/** With their sizes in MB: names that nodes have and Pods ask for. */
const IMAGES = { 'example.com/small:1': 20, 'example.com/big:1': 700, 'example.com/huge:1': 1400 };
const anyImage = fc.constantFrom(...Object.keys(IMAGES));
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
    soft: maybe(
      fc.record({ maxSkew: fc.integer({ min: 1, max: 3 }), topologyKey, labelSelector: selector }),
    ),
    likes: maybe(wish),
    dislikes: maybe(wish),
    prefers: maybe(
      fc.record({ weight: fc.integer({ min: 1, max: 100 }), zone: fc.constantFrom('a', 'b') }),
    ),
    zone: maybe(fc.constantFrom('a', 'b')),
    not: maybe(fc.constantFrom('a', 'b')),
    tolerates: fc.boolean(),
    hostPort: maybe(fc.integer({ min: 80, max: 82 })),
    cpu: fc.integer({ min: 0, max: 8 }),
    memory: fc.integer({ min: 0, max: 4 }),
    image: anyImage,
    priority: fc.integer({ min: 0, max: 3 }),
  })
  .map((shape) => specOf(shape));

interface Shape {
  affinity: object | undefined;
  anti: object | undefined;
  spread: { minDomains: number | undefined; maxSkew: number; topologyKey: string } | undefined;
  soft: object | undefined;
  likes: object | undefined;
  dislikes: object | undefined;
  prefers: { weight: number; zone: string } | undefined;
  zone: string | undefined;
  not: string | undefined;
  tolerates: boolean;
  hostPort: number | undefined;
  cpu: number;
  memory: number;
  image: string;
  priority: number;
}

/** For a Pod that goes nearly anywhere, if others make room. */
export const anyDemandingSpec: fc.Arbitrary<Partial<PodSpec>> = fc
  .record({
    anti: maybe(term),
    spread: maybe(fc.record({ maxSkew: fc.constant(1), topologyKey, labelSelector: selector })),
    hostPort: maybe(fc.integer({ min: 80, max: 82 })),
    cpu: fc.integer({ min: 1, max: 15 }),
    memory: fc.integer({ min: 0, max: 10 }),
  })
  .map(({ spread, ...shape }) => ({
    ...{ affinity: undefined, soft: undefined, likes: undefined, dislikes: undefined },
    ...{ prefers: undefined, zone: undefined, not: undefined, tolerates: true, priority: 3 },
    ...{ ...shape, spread: spread && { ...spread, minDomains: undefined }, image: 'none' },
  }))
  .map((shape) => specOf(shape));

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

function specOf(shape: Shape): Partial<PodSpec> {
  const { soft } = shape;
  const { minDomains, ...hard } = shape.spread ?? { minDomains: undefined };
  const constraints = [
    ...(shape.spread
      ? [{ ...hard, ...(minDomains ? { minDomains } : {}), whenUnsatisfiable: 'DoNotSchedule' }]
      : []),
    ...(soft ? [{ ...soft, whenUnsatisfiable: 'ScheduleAnyway' }] : []),
  ];
  return {
    affinity: affinityOf(shape),
    priority: shape.priority,
    containers: [
      {
        name: 'main',
        image: shape.image,
        resources: { requests: requestsOf(shape) },
        ...(shape.hostPort ? { ports: [{ containerPort: 80, hostPort: shape.hostPort }] } : {}),
      },
    ],
    ...(constraints.length > 0 ? { topologySpreadConstraints: constraints } : {}),
    ...(shape.zone ? { nodeSelector: { [ZONE]: shape.zone } } : {}),
    ...(shape.tolerates ? { tolerations: [{ key: 'dedicated', operator: 'Exists' }] } : {}),
  } as unknown as Partial<PodSpec>;
}

function requestsOf({ cpu, memory }: Shape): object {
  return {
    ...(cpu > 0 ? { cpu: `${cpu * 100}m` } : {}),
    ...(memory > 0 ? { memory: `${memory * 300}Mi` } : {}),
  };
}

function affinityOf({ affinity, anti, likes, dislikes, not, prefers }: Shape): object {
  const inZone = (operator: string, zone: string) => ({
    matchExpressions: [{ key: ZONE, operator, values: [zone] }],
  });
  const rules = (required: object | undefined, preferred: object | undefined) => ({
    ...(required ? { [REQUIRED]: [required] } : {}),
    ...(preferred ? { [PREFERRED]: [preferred] } : {}),
  });
  const preference = prefers && {
    weight: prefers.weight,
    preference: inZone('In', prefers.zone),
  };
  return {
    podAffinity: rules(affinity, likes),
    podAntiAffinity: rules(anti, dislikes),
    nodeAffinity: {
      ...rules(undefined, preference),
      ...(not ? { [REQUIRED]: { nodeSelectorTerms: [inZone('NotIn', not)] } } : {}),
    },
  };
}

export const anyNode = fc.record({
  zone: maybe(fc.constantFrom('a', 'b', 'c'), 6),
  tainted: fc.boolean(),
  cordoned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  busy: fc.boolean(),
  images: fc.uniqueArray(anyImage),
  cpu: fc.integer({ min: 4, max: 20 }),
  memory: fc.integer({ min: 2, max: 20 }),
  pods: fc.integer({ min: 1, max: 8 }),
});
type AnyNode = typeof anyNode extends fc.Arbitrary<infer T> ? T : never;

export function buildNode(name: string, made: AnyNode): Node {
  const { zone, tainted, busy, cordoned, cpu, memory, pods } = made;
  const labels = zone ? { [ZONE]: zone } : {};
  const size = { cpu: `${cpu * 100}m`, memory: `${memory * 300}Mi`, pods: String(pods), labels };
  const node = makeNode(name, size);
  const taints = [
    ...(tainted ? [{ key: 'dedicated', value: 'x', effect: 'NoSchedule' }] : []),
    ...(busy ? [{ key: 'busy', effect: 'PreferNoSchedule' }] : []),
    ...(tainted && busy ? [{ key: 'dedicated', value: 'y', effect: 'PreferNoSchedule' }] : []),
  ];
  const images = made.images.map((image) => ({
    names: [image],
    sizeBytes: (IMAGES[image as keyof typeof IMAGES] ?? 0) * 1024 * 1024,
  }));
  return {
    ...node,
    spec: { taints, unschedulable: cordoned },
    status: { ...node.status, images },
  };
}

/** PodDisruptionBudgets in the namespaces x and y; some say of some Pods that they go already. */
export const anyBudget = fc
  .record({
    namespace: fc.constantFrom('x', 'y'),
    selector: fc.oneof(
      { weight: 6, arbitrary: selector },
      { weight: 1, arbitrary: fc.constant({}) },
    ),
    allowed: fc.integer({ min: 0, max: 2 }),
    going: fc.uniqueArray(fc.integer({ min: 0, max: 29 }), { maxLength: 4 }),
  })
  .map(({ namespace, selector: selects, allowed, going }) => ({
    ...{ apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
    metadata: { name: 'budget', namespace },
    spec: { selector: selects },
    status: {
      disruptionsAllowed: allowed,
      disruptedPods: Object.fromEntries(going.map((i) => [`p${i}`, '2026-01-01T00:00:00Z'])),
    },
  }))
  .map((budget) => budget as unknown as PodDisruptionBudget);
