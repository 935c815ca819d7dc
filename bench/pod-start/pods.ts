import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Pod } from '../../src/api/types.ts';
import { shellPod } from '../../test/support/manifests.ts';

/** Whether a Pod mounts nothing, or what many do: the token of its service account, settings and an empty directory. */
export type Kind = 'plain' | 'volumes';
export const KINDS: readonly Kind[] = ['plain', 'volumes'];

/** Milliseconds for one Pod, and for 30 at once. */
export interface Figures {
  readonly one: number;
  readonly thirty: number;
}

const VOLUMES = [
  { name: 'settings', configMap: { name: 'kube-root-ca.crt' } },
  { name: 'scratch', emptyDir: {} },
];
const MOUNTS = VOLUMES.map(({ name }) => ({ name, mountPath: `/${name}` }));

/** Pods of one small container that does nothing. Complete enough to be handed to a runtime as they are. */
export function benchPods(kind: Kind, prefix: string, count: number): Pod[] {
  const hasVolumes = kind === 'volumes';
  const container = hasVolumes ? { volumeMounts: MOUNTS } : {};
  return Array.from({ length: count }, (_, i) => {
    const { metadata, spec, ...rest } = shellPod(
      `${prefix}-${i}`,
      'sleep 3600',
      container,
    ) as unknown as Pod;
    Object.assign(metadata, { namespace: 'default', uid: randomUUID() });
    Object.assign(
      spec ?? {},
      hasVolumes ? { volumes: VOLUMES } : { automountServiceAccountToken: false },
    );
    return {
      ...rest,
      spec,
      metadata: { ...metadata, creationTimestamp: new Date().toISOString() },
    };
  });
}

/**
 * Puts the machine into the same state before each round: the kernel keeps the control groups of containers that are gone
 * for as long as it caches files of theirs, and each further group costs more the more there are.
 */
export function forgetOldGroups(): void {
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}
