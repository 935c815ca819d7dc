import { matchesNodeSelector } from '../../api/node-affinity.ts';
import { parseQuantity } from '../../api/quantity.ts';
import type { Node, ResourceSlice } from '../../api/types.ts';
import { inexact } from '../../util/exact-json.ts';
import { type Device, deviceId } from './device-parts.ts';

/** By counter set and name (`set/name`), in billionths. */
export type Counters = ReadonlyMap<string, bigint>;

/** A device that can be used on a node. */
export interface Candidate {
  readonly id: string;
  readonly device: Device;
  readonly slice: ResourceSlice;
  readonly pool: DevicePool;
  /** What it takes of the pool's counters. */
  readonly consumes: readonly (readonly [counter: string, amount: bigint])[];
}

/** What a driver offers under one name, in its newest generation. */
export interface DevicePool {
  readonly driver: string;
  readonly name: string;
  /** Why nothing of it may be given out now. */
  readonly problem: 'being updated' | 'invalid' | undefined;
  readonly counters: Counters;
  /** All its devices, whichever nodes can use them. */
  readonly devices: readonly Candidate[];
}

/** A pool as seen from a node. */
export interface NodePool {
  readonly pool: DevicePool;
  readonly candidates: readonly Candidate[];
}

/** All pools of the cluster. Made anew when a ResourceSlice changes. */
export class DevicePools {
  /** Pools that only one node can use, by its name. */
  readonly #local = new Map<string, DevicePool[]>();
  readonly #wide: DevicePool[] = [];
  readonly #byNode = new WeakMap<Node, readonly NodePool[]>();

  constructor(slices: readonly ResourceSlice[]) {
    for (const pool of gather(slices)) {
      const nodes = new Set(pool.devices.map(({ slice }) => slice.spec.nodeName ?? ''));
      for (const node of nodes.has('') ? [] : nodes) {
        const known = this.#local.get(node);
        if (known) known.push(pool);
        else this.#local.set(node, [pool]);
      }
      if (nodes.has('')) this.#wide.push(pool);
    }
  }

  /** The pools with devices for that node, always in the same order. */
  on(node: Node): readonly NodePool[] {
    const known = this.#byNode.get(node);
    if (known) return known;
    const found = [...(this.#local.get(node.metadata.name) ?? []), ...this.#wide]
      .map((pool) => ({ pool, candidates: pool.devices.filter((one) => usable(one, node)) }))
      .filter(({ candidates }) => candidates.length > 0);
    this.#byNode.set(node, found);
    return found;
  }
}

type Place = Pick<Device, 'nodeName' | 'nodeSelector' | 'allNodes'>;

/** Where the device can be used: its slice says so, or it says so itself. */
export function placeOf({ device, slice: { spec } }: Pick<Candidate, 'device' | 'slice'>): Place {
  return spec.perDeviceNodeSelection ? device : spec;
}

function usable(candidate: Candidate, node: Node): boolean {
  const { nodeName, nodeSelector, allNodes } = placeOf(candidate);
  if (nodeName) return nodeName === node.metadata.name;
  if (allNodes) return true;
  return nodeSelector !== undefined && matchesNodeSelector(nodeSelector, node);
}

function gather(slices: readonly ResourceSlice[]): DevicePool[] {
  const byPool = new Map<string, ResourceSlice[]>();
  for (const slice of slices) {
    const key = `${slice.spec.driver}/${slice.spec.pool.name}`;
    const known = byPool.get(key);
    if (known) known.push(slice);
    else byPool.set(key, [slice]);
  }
  return [...byPool.entries()].sort(byKey).map(([, members]) => poolOf(members));
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Older generations are what the driver is about to delete. */
function poolOf(members: readonly ResourceSlice[]): DevicePool {
  const newest = Math.max(...members.map(({ spec }) => inexact(spec.pool.generation)));
  const slices = members
    .filter(({ spec }) => inexact(spec.pool.generation) === newest)
    .sort((a, b) => byKey([a.metadata.name, a], [b.metadata.name, b]));
  const [{ spec }] = slices as [ResourceSlice];
  const { driver } = spec;
  const pool = { driver, name: spec.pool.name, counters: countersOf(slices), problem: undefined };
  const made: Mutable<DevicePool> = { ...pool, devices: [] };
  made.devices = slices.flatMap((slice) =>
    (slice.spec.devices ?? []).map((device) => ({
      id: deviceId(driver, made.name, device.name),
      ...{ device, slice, pool: made },
      consumes: (device.consumesCounters ?? []).flatMap((use) =>
        amounts(use.counterSet, use.counters),
      ),
    })),
  );
  if (slices.length !== spec.pool.resourceSliceCount) made.problem = 'being updated';
  else if (!isSound(made.devices, made.counters)) made.problem = 'invalid';
  return made;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function countersOf(slices: readonly ResourceSlice[]): Counters {
  const all = slices.flatMap(({ spec }) => spec.sharedCounters ?? []);
  return new Map(all.flatMap(({ name, counters }) => amounts(name, counters)));
}

function amounts(
  set: string,
  counters: Readonly<Record<string, { value: string }>> = {},
): [string, bigint][] {
  return Object.entries(counters).map(([name, { value }]) => [
    `${set}/${name}`,
    parseQuantity(value).nanos,
  ]);
}

/** The API server sees one slice at a time: names may clash, and counters be missing, across slices. */
function isSound(devices: readonly Candidate[], counters: Counters): boolean {
  return (
    new Set(devices.map(({ id }) => id)).size === devices.length &&
    devices.every(({ consumes }) => consumes.every(([counter]) => counters.has(counter)))
  );
}
