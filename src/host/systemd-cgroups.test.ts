import { describe, expect, it } from 'vitest';
import type { CgroupLimits, Cgroups } from './cgroups.ts';
import { sliceName, slicePath, sliceProperties, systemdCgroups } from './systemd-cgroups.ts';

const POD = '/kubepods/burstable/pod1234-abc';
const SLICE = 'kubepods-burstable-pod1234_abc.slice';
const PATH = `/kubepods.slice/kubepods-burstable.slice/${SLICE}`;

/** Groups that only say what they were asked, and a systemd that does the same. */
function world() {
  const said: string[] = [];
  const inner: Cgroups = {
    version: 2,
    parentOf: (name) => name,
    ensure: async (name, limits) => void said.push(`ensure ${name} ${JSON.stringify(limits)}`),
    remove: async (name) => void said.push(`remove ${name}`),
    children: async (name) =>
      name === '/kubepods.slice/kubepods-burstable.slice' ? [SLICE, 'other.scope'] : [],
    usage: async (name) => void said.push(`usage ${name}`) as never,
    someProcess: async (name) => (name === PATH ? 7 : undefined),
  };
  const slices = {
    start: async (slice: string) => void said.push(`start ${slice}`),
    stop: async (slice: string) => void said.push(`stop ${slice}`),
  };
  return { said, groups: systemdCgroups(inner, slices) };
}

describe('slices', () => {
  it('are named by where they lie, without dashes of their own', () => {
    expect(sliceName(POD)).toBe(SLICE);
    expect(slicePath(POD)).toBe(PATH);
    expect(slicePath('/k8ts-1/kubepods')).toBe('/k8ts_1.slice/k8ts_1-kubepods.slice');
  });

  it('have what pods may use as properties, where the machine has them', () => {
    const properties = (limits: CgroupLimits, version: 1 | 2) =>
      Object.fromEntries(sliceProperties(POD, limits, version).map(([name, , v]) => [name, v]));
    const limits = { cpuShares: 1024, cpuQuota: 50_000, memoryLimit: 1 << 20, pids: 100 };
    expect(properties(limits, 2)).toMatchObject({
      CPUWeight: 39,
      CPUQuotaPerSecUSec: 500_000,
      MemoryMax: 1 << 20,
      TasksMax: 100,
    });
    expect(properties(limits, 1)).toMatchObject({ CPUShares: 1024, MemoryLimit: 1 << 20 });
    const none = '18446744073709551615';
    expect(properties({ memoryLimit: 0, pids: 0 }, 2)).toMatchObject({
      CPUQuotaPerSecUSec: none,
      MemoryMax: none,
      TasksMax: none,
    });
  });
});

describe('systemdCgroups', () => {
  it("puts groups into systemd's care, and takes them out of it", async () => {
    const { said, groups } = world();
    await groups.ensure(POD, { cpuShares: 2 });
    await groups.remove(POD);
    expect(said).toEqual([
      ...[`start ${SLICE}`, `ensure ${PATH} {"cpuShares":2}`],
      ...[`stop ${SLICE}`, `remove ${PATH}`],
    ]);
  });

  it('is looked at by the names that everybody knows', async () => {
    const { groups } = world();
    expect(groups.parentOf(POD)).toBe(SLICE);
    expect(await groups.children('/kubepods/burstable')).toEqual(['pod1234-abc', 'other.scope']);
    expect(await groups.someProcess(POD)).toBe(7);
  });
});
