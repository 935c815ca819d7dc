import { type CgroupLimits, type Cgroups, weightOf } from './cgroups.ts';
import { CommandError, run } from './exec.ts';

/** What of systemd is needed to have control groups of it. */
export interface SliceManager {
  /** Makes the slice, or changes the one that there is. Properties are `NAME TYPE VALUE`, as busctl takes them. */
  start(slice: string, properties: readonly SliceProperty[]): Promise<void>;
  /** Ends a slice; nothing happens to one that is not there. */
  stop(slice: string): Promise<void>;
}

export type SliceProperty = readonly [name: string, type: 'b' | 's' | 't', value: string | number];

// What says "no limit" to systemd.
const INFINITY = '18446744073709551615';
const PERIODS_PER_SECOND = 10;

/**
 * The groups of `inner` under the names and in the care of systemd (cgroupDriver: systemd): `/kubepods/burstable` is
 * kubepods-burstable.slice in kubepods.slice. Limits are systemd's properties, so that it does not take them back, and are
 * written as well: of some controllers it knows nothing.
 */
export function systemdCgroups(inner: Cgroups, slices: SliceManager = systemSlices): Cgroups {
  return {
    version: inner.version,
    parentOf: sliceName,
    async ensure(name, limits) {
      await slices.start(sliceName(name), sliceProperties(name, limits, inner.version));
      await inner.ensure(slicePath(name), limits);
    },
    async remove(name) {
      await slices.stop(sliceName(name));
      await inner.remove(slicePath(name));
    },
    async children(name) {
      const prefix = `${sliceName(name).slice(0, -'.slice'.length)}-`;
      const found = await inner.children(slicePath(name));
      return found.map((child) =>
        child.startsWith(prefix) && child.endsWith('.slice')
          ? child.slice(prefix.length, -'.slice'.length).replaceAll('_', '-')
          : child,
      );
    },
    usage: (name) => inner.usage(slicePath(name)),
    someProcess: (name) => inner.someProcess(slicePath(name)),
  };
}

/** `/kubepods/burstable/podA-B` → `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podA_B.slice` */
export function slicePath(name: string): string {
  const parts = partsOf(name);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('-')}.slice`).join('');
}

/** A slice's name says where it lies: runtimes are told no more. */
export function sliceName(name: string): string {
  return `${partsOf(name).join('-')}.slice`;
}

/** A dash parts a slice from the one that it lies in, so there is none in what is one name. */
function partsOf(name: string): string[] {
  return name
    .split('/')
    .filter((part) => part !== '')
    .map((part) => part.replaceAll('-', '_'));
}

/** Pure. 0 or absent is no limit. */
export function sliceProperties(
  name: string,
  { cpuShares, cpuQuota, memoryLimit, pids }: CgroupLimits,
  version: 1 | 2,
): SliceProperty[] {
  const quota = cpuQuota ? cpuQuota * PERIODS_PER_SECOND : INFINITY;
  const memory = version === 1 ? 'MemoryLimit' : 'MemoryMax';
  return [
    ['Description', 's', `Pods of Kubernetes: ${name}`],
    ['DefaultDependencies', 'b', 'false'],
    ['CPUAccounting', 'b', 'true'],
    ['MemoryAccounting', 'b', 'true'],
    ['TasksAccounting', 'b', 'true'],
    ...(cpuShares ? [cpuWeight(cpuShares, version)] : []),
    ['CPUQuotaPerSecUSec', 't', quota],
    [memory, 't', memoryLimit || INFINITY],
    ...(pids === undefined ? [] : [['TasksMax', 't', pids || INFINITY] as const]),
  ];
}

function cpuWeight(shares: number, version: 1 | 2): SliceProperty {
  return version === 1 ? ['CPUShares', 't', shares] : ['CPUWeight', 't', weightOf(shares)];
}

const SYSTEMD = ['org.freedesktop.systemd1', '/org/freedesktop/systemd1'];
const MANAGER = 'org.freedesktop.systemd1.Manager';
// Until the next start of the machine only: whatever makes the groups makes them again.
const RUNTIME = 'true';

/** systemd's own, over its message bus. */
export const systemSlices: SliceManager = {
  async start(slice, properties) {
    const told = [String(properties.length), ...properties.flatMap((one) => one.map(String))];
    try {
      const how = ['StartTransientUnit', 'ssa(sv)a(sa(sv))', slice, 'replace'];
      await callSystemd([...how, ...told, '0']);
    } catch (err) {
      if (!isKnownUnit(err)) throw err;
      const settable = properties.filter(([name]) => name !== 'DefaultDependencies');
      const values = settable.flatMap((one) => one.map(String));
      const how = ['SetUnitProperties', 'sba(sv)', slice, RUNTIME, String(settable.length)];
      await callSystemd([...how, ...values]);
    }
  },
  async stop(slice) {
    try {
      await callSystemd(['StopUnit', 'ss', slice, 'replace']);
    } catch (err) {
      if (!(err instanceof CommandError) || !/not loaded|not found/.test(err.stderr)) throw err;
    }
  },
};

async function callSystemd(call: readonly string[]): Promise<void> {
  await run('busctl', ['--system', 'call', ...SYSTEMD, MANAGER, ...call], { timeoutMs: 30_000 });
}

function isKnownUnit(err: unknown): boolean {
  return err instanceof CommandError && /already exists|already loaded/.test(err.stderr);
}
