import type { DrillWorld } from './world.ts';
import { answers } from './world.ts';

/** What a component's absence stops, and how its return shows. */
export interface Scenario {
  /** The process that is killed. */
  readonly component: string;
  /** What people should remember of it. */
  readonly stops: string;
  /** Asks for something that needs the component, and throws unless it does not happen while that is gone. */
  readonly while: (world: DrillWorld) => Promise<void>;
  /** Holds once the component has caught up. */
  readonly after: (world: DrillWorld) => Promise<boolean>;
}

const NAME = 'drill';

async function refused(act: () => Promise<unknown>, what: string): Promise<void> {
  try {
    await act();
  } catch {
    return;
  }
  throw new Error(`${what} although the component is gone`);
}

/** The brief's table, component by component. */
export const SCENARIOS: readonly Scenario[] = [
  {
    component: 'apiserver',
    stops: 'every kubectl command; nothing new is decided',
    while: (world) => refused(() => world.running('steady'), 'The API answers'),
    after: async (world) => (await world.running('steady')).length > 0,
  },
  {
    component: 'scheduler',
    stops: 'new Pods stay Pending without a node',
    while: (world) => world.makePod(`${NAME}-scheduler`),
    after: (world) => isRunning(world, `${NAME}-scheduler`),
  },
  {
    component: 'controller-manager',
    stops: 'scaling, healing and endpoints',
    while: (world) => world.scale(3),
    after: async (world) => (await world.running('steady')).length === 3,
  },
  {
    component: 'kubelet',
    stops: 'new Pods of this node do not start; probes and status stand still',
    while: (world) => world.makePod(`${NAME}-kubelet`),
    after: (world) => isRunning(world, `${NAME}-kubelet`),
  },
  {
    component: 'proxy',
    stops: 'new Services are not routed',
    while: async (world) => {
      const url = await world.makeService(`${NAME}-proxy`, 'steady');
      if (await answers(url)) throw new Error('The new Service answers although the proxy is gone');
    },
    after: async (world) => answers(await world.urlOf(`${NAME}-proxy`)),
  },
  {
    component: 'containerd',
    stops: 'new containers, logs and exec',
    while: (world) => world.makePod(`${NAME}-containerd`),
    after: (world) => isRunning(world, `${NAME}-containerd`),
  },
];

async function isRunning(world: DrillWorld, name: string): Promise<boolean> {
  return (await world.pod(name)).status?.phase === 'Running';
}
