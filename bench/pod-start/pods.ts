import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Pod } from '../../src/api/types.ts';
import { shellPod } from '../../test/support/manifests.ts';

/** Pods of one small container that does nothing. Complete enough to be handed to a runtime as they are. */
export function benchPods(prefix: string, count: number): Pod[] {
  return Array.from({ length: count }, (_, i) => {
    const pod = shellPod(`${prefix}-${i}`, 'sleep 3600') as unknown as Pod;
    const { metadata } = pod;
    Object.assign(metadata, { namespace: 'default', uid: randomUUID() });
    return { ...pod, metadata: { ...metadata, creationTimestamp: new Date().toISOString() } };
  });
}

/**
 * Puts the machine into the same state before each round: the kernel keeps the control groups of containers that are gone
 * for as long as it caches files of theirs, and each further group costs more the more there are.
 */
export function forgetOldGroups(): void {
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}
