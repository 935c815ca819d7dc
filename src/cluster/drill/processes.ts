import { membersAt } from '../etcd-membership.ts';
import type { Paths } from '../paths.ts';
import type { ClusterSettings } from '../settings.ts';
import { findLeftBehind } from '../supervised-process.ts';
import { killed, refused, type Scenario } from './scenario.ts';
import { answers, DEPLOYMENT, type DrillWorld } from './world.ts';

const NAME = 'drill';

/** The parts that are processes of this machine. */
export const PROCESSES: readonly Scenario[] = [
  {
    part: 'apiserver',
    stops: 'every kubectl command; nothing new is decided',
    take: killed('apiserver'),
    while: (world) => refused(() => world.running(DEPLOYMENT), 'The API answers'),
    after: async (world) => (await world.running(DEPLOYMENT)).length > 0,
    ask: () => ['get', 'pods'],
  },
  {
    part: 'scheduler',
    stops: 'new Pods stay Pending without a node',
    take: killed('scheduler'),
    while: (world) => world.makePod(`${NAME}-scheduler`),
    after: (world) => isRunning(world, `${NAME}-scheduler`),
    missed: true,
    ask: () => ['get', 'pod', `${NAME}-scheduler`],
  },
  {
    part: 'controller-manager',
    stops: 'scaling, healing and endpoints',
    take: killed('controller-manager'),
    while: (world) => world.scale(3),
    after: async (world) => (await world.running(DEPLOYMENT)).length === 3,
    missed: true,
    ask: () => ['get', 'deployment', DEPLOYMENT],
  },
  {
    part: 'kubelet',
    stops: 'new Pods of this node do not start; probes and status stand still',
    take: killed('kubelet'),
    while: (world, place) => world.makePod(`${NAME}-kubelet`, place.settings.nodeName),
    after: (world) => isRunning(world, `${NAME}-kubelet`),
    missed: true,
    ask: () => ['get', 'pod', `${NAME}-kubelet`],
  },
  {
    part: 'proxy',
    stops: 'new Services are not routed',
    take: killed('proxy'),
    while: async (world) => {
      const url = await world.makeService(`${NAME}-proxy`, DEPLOYMENT);
      if (await answers(url)) throw new Error('The new Service answers although the proxy is gone');
    },
    after: async (world) => answers(await world.urlOf(`${NAME}-proxy`)),
    missed: true,
    ask: () => ['get', 'service', `${NAME}-proxy`],
  },
  {
    part: 'containerd',
    stops: 'new containers, logs and exec',
    take: killed('containerd'),
    while: (world, place) => world.makePod(`${NAME}-containerd`, place.settings.nodeName),
    after: (world) => isRunning(world, `${NAME}-containerd`),
    missed: true,
    ask: () => ['get', 'pod', `${NAME}-containerd`],
  },
  {
    part: 'etcd',
    stops: 'the API server beside it; the others go on',
    obstacle: ({ paths, settings }) =>
      withoutEtcd(paths) ?? voters(paths, settings, (count) => count >= 3, 'it is the quorum'),
    take: killed('etcd'),
    while: (world, place) => world.writeElsewhere(place.paths),
    after: (world) => world.write(),
    ask: () => CREATE,
  },
  {
    part: 'etcd-quorum',
    stops: 'every write, and all that is decided by one',
    obstacle: ({ paths, settings }) =>
      withoutEtcd(paths) ??
      voters(paths, settings, (count) => count < 3, 'the other members are a majority'),
    take: killed('etcd'),
    while: (world) => refused(() => world.write(), 'The API takes writes'),
    after: (world) => world.write(),
    ask: () => CREATE,
  },
];

const CREATE = ['create', 'configmap', `${NAME}-etcd`];

function withoutEtcd(paths: Paths): string | undefined {
  if (findLeftBehind('etcd', paths.run)) return undefined;
  return 'no etcd runs here; k8ts up --etcd stacked, in a new cluster';
}

/** An obstacle unless the number of members with a vote is right. */
async function voters(
  paths: Paths,
  { nodeIp }: ClusterSettings,
  isRight: (count: number) => boolean,
  obstacle: string,
): Promise<string | undefined> {
  const count = (await membersAt(paths, [nodeIp])).filter(({ isLearner }) => !isLearner).length;
  return isRight(count) ? undefined : obstacle;
}

async function isRunning(world: DrillWorld, name: string): Promise<boolean> {
  return (await world.pod(name)).status?.phase === 'Running';
}
