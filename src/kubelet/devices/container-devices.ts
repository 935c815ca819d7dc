import type { Container } from '../../api/types.ts';
import { ContainerConfigError } from '../environment.ts';
import type { Device, Mount } from '../runtime/runtime.ts';
import type { MountedVolume } from '../volumes/volume-error.ts';
import type { DeviceGrant } from './device-checkpoint.ts';

/** What devices bring into a container, in the runtime's words. */
export interface ContainerDevices {
  readonly envs: ReadonlyMap<string, string>;
  readonly mounts: readonly Mount[];
  readonly devices: readonly Device[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly cdi: readonly { name: string }[];
}

/**
 * Joins what the plugins said, and the devices of claims. Of two answers about one thing the first counts, as upstream has
 * it. Pure.
 */
export function containerDevices(
  grants: readonly DeviceGrant[],
  claimed: readonly string[] = [],
): ContainerDevices {
  const answers = grants.map(({ answer }) => answer);
  const envs = answers.flatMap((a) => Object.entries(a.envs));
  const annotations = answers.flatMap((a) => Object.entries(a.annotations));
  const mounts = answers.flatMap((a) => a.mounts);
  const devices = answers.flatMap((a) => a.devices);
  const cdi = answers.flatMap((a) => a.cdiDevices.map(({ name }) => name));
  return {
    envs: new Map(envs.reverse()),
    annotations: Object.fromEntries(annotations.reverse()),
    mounts: firstOf(mounts, (m) => m.containerPath).map((m) => ({
      containerPath: m.containerPath,
      hostPath: m.hostPath,
      readonly: m.readOnly,
    })),
    devices: firstOf(devices, (d) => d.containerPath).map((d) => ({ ...d })),
    cdi: [...new Set([...cdi, ...claimed])].map((name) => ({ name })),
  };
}

function firstOf<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map([...items].reverse().map((item) => [key(item), item])).values()].reverse();
}

/** Volumes that the container gets as block devices. Throws when one of them is none. */
export function volumeDevices(
  { volumeDevices: wanted = [] }: Container,
  volumes: ReadonlyMap<string, MountedVolume>,
): Device[] {
  return wanted.map(({ name, devicePath }) => {
    const volume = volumes.get(name);
    if (!volume?.isDevice) {
      throw new ContainerConfigError(`cannot find block device of volume "${name}"`);
    }
    const permissions = volume.readOnly ? 'r' : 'mrw';
    return { containerPath: devicePath, hostPath: volume.hostPath, permissions };
  });
}
