import { randomUUID } from 'node:crypto';
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
