import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../util/errors.ts';
import { cutNode, existingNodes, type LocalNode, startNode, stopNode } from '../local-nodes.ts';
import type { Place, Scenario } from './scenario.ts';
import { FILLER } from './world.ts';

/** What is filled without asking anybody. */
const LARGEST_DISK = 1 << 30;
const CHUNK = Buffer.alloc(1 << 20);

/**
 * The parts that are no process of this machine: the store's disk, its extra nodes, their cables. The network is the last: for
 * two minutes the kernel keeps the tries to reach the node that was cut off, and a new connection to the Service that happens
 * to have the port of such a try follows it to nowhere. No answer of a later drill would tell of what that takes away.
 */
export const SURROUNDINGS: readonly Scenario[] = [
  {
    part: 'disk',
    stops: 'every write; what is read and watched goes on',
    obstacle: smallDisk,
    take: async ({ paths }) => {
      const ballast = join(paths.store, 'drill-ballast');
      fill(ballast);
      return async () => rmSync(ballast);
    },
    while: (world) => world.untilRefused('no space left'),
    after: (world) => world.write(),
    ask: () => ['create', 'configmap', 'drill-disk', `--from-literal=filler=${FILLER}`],
  },
  {
    part: 'node',
    stops: 'its Pods; nobody has noticed yet (see network)',
    obstacle: withoutNode,
    take: async (place) => {
      const node = victim(place);
      await stopNode(node, place.self);
      return () => startNode(node, place.self);
    },
    while: (world, place) => world.assertSilent(victim(place).name),
    after: (world, place) => world.isWhole(victim(place).name),
    ask: (place) => ['get', 'node', victim(place).name],
    node: (place) => victim(place).name,
  },
  {
    part: 'network',
    stops: 'the node is NotReady after the grace period, and its Pods are made anew elsewhere',
    obstacle: withoutNode,
    take: async (place) => {
      const node = victim(place);
      await cutNode(node);
      return () => startNode(node, place.self);
    },
    while: (world, place) => world.untilMovedFrom(victim(place).name),
    after: (world, place) => world.isWhole(victim(place).name),
    ask: (place) => ['get', 'node', victim(place).name],
    node: (place) => victim(place).name,
  },
];

function withoutNode({ paths }: Place): string | undefined {
  if (existingNodes(paths).length > 0) return undefined;
  return 'there is one node only; k8ts up --nodes 2';
}

function victim({ paths }: Place): LocalNode {
  const [node] = existingNodes(paths);
  if (!node) throw new Error('There is no extra node any more');
  return node;
}

/** Only a disk that holds nothing but the store is filled, and none that takes minutes. */
function smallDisk({ paths, settings }: Place): string | undefined {
  if (settings.store !== 'lmdb') return 'the store is not the embedded one';
  if (statSync(paths.store).dev === statSync(dirname(paths.store)).dev) {
    return `${paths.store} is no disk of its own`;
  }
  const { bsize, blocks } = statfsSync(paths.store);
  return bsize * blocks <= LARGEST_DISK ? undefined : 'the disk of the store is larger than 1 GiB';
}

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let size = CHUNK.length; size > 0; ) {
      try {
        writeSync(file, CHUNK, 0, size);
      } catch (err) {
        if (errnoOf(err) !== 'ENOSPC') throw err;
        size >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
}
