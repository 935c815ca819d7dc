import { isSidecar } from '../api/pods.ts';
import type { Container, Pod } from '../api/types.ts';
import { initContainersOf } from './names.ts';
import type { RuntimeContainer } from './runtime-pod.ts';

/**
 * Whether a container that ended with this exit code is to run again: its own rules first, then its own
 * policy, then the pod's (KEP-5307).
 */
export function restartsAfter(pod: Pod, container: Container, exitCode: number): boolean {
  const rule = container.restartPolicyRules?.find((r) => ruleMatches(r.exitCodes, exitCode));
  if (rule) return rule.action === 'Restart' || rule.action === 'RestartAllContainers';
  const isInit = initContainersOf(pod).some((c) => c.name === container.name);
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (isInit && !isSidecar(container)) return exitCode !== 0 && policy !== 'Never';
  if (policy === 'Always') return true;
  return policy === 'OnFailure' && exitCode !== 0;
}

/** A container that ended so that, by its own rules, the whole pod begins anew (KEP-5532). */
export function restartsAll(
  container: Container,
  status: { state: string; exitCode: number } | undefined,
): boolean {
  if (status?.state !== 'exited') return false;
  const rule = container.restartPolicyRules?.find((r) => ruleMatches(r.exitCodes, status.exitCode));
  return rule?.action === 'RestartAllContainers';
}

function ruleMatches(
  exitCodes: { operator: string; values?: number[] | undefined } | undefined,
  exitCode: number,
): boolean {
  if (!exitCodes) return false;
  const listed = (exitCodes.values ?? []).includes(exitCode);
  return exitCodes.operator === 'In' ? listed : !listed;
}

/** Whether the container, as it stands, is to be started. */
export function shouldStart(
  pod: Pod,
  container: Container,
  status: RuntimeContainer | undefined,
): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  if (!status) return true;
  if (status.state === 'running') return false;
  // Created but never started, or lost: nothing is known of it that could forbid a new one.
  if (status.state !== 'exited') return true;
  return restartsAfter(pod, container, status.exitCode);
}
