import { isMirrorPod } from '../api/pods.ts';
import type { Pod } from '../api/types.ts';
import { isStatic } from './names.ts';

const SYSTEM_CRITICAL = 2_000_000_000;

/** Static pods and those of the system's priorities are what the node itself lives on. */
export function isCriticalPod(pod: Pod): boolean {
  return isStatic(pod) || isMirrorPod(pod) || (pod.spec?.priority ?? 0) >= SYSTEM_CRITICAL;
}
