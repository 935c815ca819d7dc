import { describe, expect, it } from 'vitest';
import type { ResourceClaim, ResourceSlice } from '../../api/types.ts';
import { makeNode } from '../objects.fake.ts';
import type { Device } from './device-parts.ts';
import { DevicePools } from './device-pools.ts';
import { DeviceSearch, type DeviceUsage, type Picked } from './device-search.ts';
import type { Want } from './device-wants.ts';

const NOBODY: DeviceUsage = { isTaken: () => false, sharesOf: () => undefined };

/** Numbers that are the same in every run. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

function want(name: string, model: string, count: number): Want {
  const expression = `device.attributes["d.io"].model == "${model}"`;
  return {
    ...{ request: name, name, className: 'any', classSelectors: [], count },
    ...{ selectors: model === '' ? [] : [{ cel: { expression } }], all: false },
    ...{ adminAccess: false, tolerations: [], capacity: {} },
  };
}

interface Task {
  readonly devices: readonly Device[];
  readonly wants: readonly Want[];
  readonly constraint: { matchAttribute?: string; distinctAttribute?: string } | undefined;
  readonly memory: number;
}

function randomTask(pick: ReturnType<typeof chance>): Task {
  const devices = Array.from({ length: 1 + pick(5) }, (_, i) => ({
    name: `d${i}`,
    attributes: { model: { string: 'ab'.charAt(pick(2)) }, numa: { int: pick(2) } },
    consumesCounters: [{ counterSet: 'c', counters: { memory: { value: `${1 + pick(3)}` } } }],
  })) as unknown as Device[];
  const wants = Array.from({ length: 1 + pick(2) }, (_, i) =>
    want(`r${i}`, ['', 'a', 'b'][pick(3)] ?? '', 1 + pick(2)),
  );
  const attribute = 'd.io/numa';
  const constraints = [undefined, { matchAttribute: attribute }, { distinctAttribute: attribute }];
  return { devices, wants, constraint: constraints[pick(3)], memory: 2 + pick(8) };
}

function search(
  { devices, wants, constraint, memory }: Task,
  late = () => false,
): readonly Picked[] | undefined {
  const limit = { tries: 100_000, late };
  const slice = {
    metadata: { name: 's' },
    spec: {
      ...{ driver: 'd.io', nodeName: 'n', devices },
      ...{ pool: { name: 'p', generation: 1, resourceSliceCount: 1 } },
      sharedCounters: [{ name: 'c', counters: { memory: { value: `${memory}` } } }],
    },
  } as unknown as ResourceSlice;
  const claim = {
    metadata: { name: 'c', namespace: 'd' },
    spec: { devices: { constraints: constraint ? [constraint] : [] } },
  } as unknown as ResourceClaim;
  const requests = wants.map((one) => [one]);
  const pools = new DevicePools([slice]).on(makeNode('n'));
  return new DeviceSearch([{ claim, requests }], pools, NOBODY, limit).run()?.[0];
}

const textOf = (device: Device, attribute: string): unknown =>
  Object.values(device.attributes?.[attribute] ?? {})[0];
const memoryOf = (device: Device): number =>
  Number(device.consumesCounters?.[0]?.counters.memory?.value);

/** Whether the devices, in the order of the requests, meet everything that was asked for. */
function isSolution({ wants, constraint, memory }: Task, chosen: readonly Device[]): boolean {
  const slots = wants.flatMap((one) => Array.from({ length: one.count }, () => one));
  if (chosen.length !== slots.length || new Set(chosen).size !== chosen.length) return false;
  const models = slots.map(({ selectors }) => selectors[0]?.cel?.expression.at(-2));
  if (!chosen.every((one, i) => !models[i] || textOf(one, 'model') === models[i])) return false;
  if (chosen.reduce((sum, one) => sum + memoryOf(one), 0) > memory) return false;
  const kinds = new Set(chosen.map((one) => textOf(one, 'numa'))).size;
  if (constraint?.matchAttribute) return kinds <= 1;
  return !constraint?.distinctAttribute || kinds === chosen.length;
}

/** Every order of every set of that many devices. */
function* orders(devices: readonly Device[], length: number): Generator<readonly Device[]> {
  if (length === 0) yield [];
  else {
    for (const first of devices) {
      const others = devices.filter((one) => one !== first);
      for (const rest of orders(others, length - 1)) yield [first, ...rest];
    }
  }
}

describe('DeviceSearch', () => {
  it('finds a way exactly when there is one, for random devices and claims', () => {
    let possible = 0;
    for (let seed = 1; seed <= 600; seed++) {
      const task = randomTask(chance(seed));
      const length = task.wants.reduce((sum, { count }) => sum + count, 0);
      const exists = orders(task.devices, length).some((chosen) => isSolution(task, chosen));
      const found = search(task);
      expect(found !== undefined, `seed ${seed}`).toBe(exists);
      if (!found) continue;
      possible++;
      const chosen = found.map(({ candidate }) => candidate.device);
      expect(isSolution(task, chosen), `seed ${seed}`).toBe(true);
    }
    expect(possible).toBeGreaterThan(100);
    expect(possible).toBeLessThan(500);
  });

  it('gives up after so many tries, or when its time is over', () => {
    const devices = Array.from({ length: 40 }, (_, i) => ({
      name: `d${i}`,
      attributes: { model: { string: i === 0 ? 'b' : 'a' } },
    })) as unknown as Device[];
    const constraint = { matchAttribute: 'd.io/model' };
    const wants = [want('many', 'a', 12), want('other', 'b', 1)];
    const endless = { devices, wants, constraint, memory: 100 };
    const timedOut = 'timed out trying to allocate devices';
    expect(() => search(endless)).toThrow(timedOut);
    let looks = 0;
    expect(() => search(endless, () => ++looks > 100)).toThrow(timedOut);
    expect(looks).toBe(101);
  });
});
