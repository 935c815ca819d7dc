import { isPodTerminal, isSidecar, podCondition } from '../../../api/pods.ts';
import type { ContainerStatus, Pod } from '../../../api/types.ts';
import type { Cell, RowCondition } from '../../resource-kind.ts';
import { age, orNone } from '../cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../kind.ts';

export const POD_COLUMNS = [
  NAME_COLUMN,
  column('Ready', 'Containers that are ready, of all containers.'),
  column('Status', 'Phase of the Pod, or why it is not running.'),
  column('Restarts', 'How often containers were restarted, and when last.'),
  AGE_COLUMN,
  column('IP', 'Address of the Pod.', { wide: true }),
  column('Node', 'Node that the Pod is bound to.', { wide: true }),
  column('Nominated Node', 'Node where preemption makes room for the Pod.', { wide: true }),
  column('Readiness Gates', 'Readiness gates that are true, of all gates.', { wide: true }),
];

/** What is counted over a Pod's containers to print one line (printers printPod). */
interface Tally {
  ready: number;
  restarts: number;
  lastRestart: string;
  reason: string;
}

export function podRow(pod: Pod, now: number): Cell[] {
  const tally = tallyPod(pod);
  const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar).length;
  const total = (pod.spec?.containers.length ?? 0) + sidecars;
  const gates = pod.spec?.readinessGates ?? [];
  const open = gates.filter((g) => podCondition(pod, g.conditionType)?.status === 'True').length;
  return [
    pod.metadata.name,
    `${tally.ready}/${total}`,
    tally.reason,
    restartsText(tally, now),
    age(pod.metadata.creationTimestamp, now),
    orNone(pod.status?.podIPs?.[0]?.ip),
    orNone(pod.spec?.nodeName),
    orNone(pod.status?.nominatedNodeName),
    gates.length === 0 ? '<none>' : `${open}/${gates.length}`,
  ];
}

export function podRowConditions(pod: Pod): RowCondition[] {
  if (pod.status?.phase === 'Succeeded') return [completed('Succeeded', 'completed successfully.')];
  if (pod.status?.phase === 'Failed') return [completed('Failed', 'failed.')];
  return [];
}

function completed(reason: string, how: string): RowCondition {
  const verb = reason === 'Failed' ? '' : 'has ';
  return { type: 'Completed', status: 'True', reason, message: `The pod ${verb}${how}` };
}

function restartsText({ restarts, lastRestart }: Tally, now: number): string {
  if (restarts === 0 || lastRestart === '') return String(restarts);
  return `${restarts} (${age(lastRestart, now)} ago)`;
}

function tallyPod(pod: Pod): Tally {
  const phase = pod.status?.phase ?? '';
  const gated = podCondition(pod, 'PodScheduled')?.reason === 'SchedulingGated';
  const start = { ready: 0, restarts: 0, lastRestart: '' };
  const base = gated ? 'SchedulingGated' : pod.status?.reason || phase;
  const init = tallyInit(pod, { ...start, reason: base });
  const initialized = podCondition(pod, 'Initialized')?.status === 'True';
  const tally = init.initializing && !initialized ? init.tally : tallyContainers(pod, init);
  return { ...tally, reason: deletionReason(pod) ?? tally.reason };
}

interface InitTally {
  tally: Tally;
  /** Restarts of sidecars alone: those of ordinary init containers stop counting once they are done. */
  sidecars: Tally;
  initializing: boolean;
}

function tallyInit(pod: Pod, start: Tally): InitTally {
  const tally = { ...start };
  const sidecars = { ...start };
  const inits = new Map((pod.spec?.initContainers ?? []).map((c) => [c.name, c]));
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const spec = inits.get(status.name);
    const sidecar = spec !== undefined && isSidecar(spec);
    countRestarts(tally, status);
    if (sidecar) countRestarts(sidecars, status);
    if (status.state?.terminated?.exitCode === 0) continue;
    if (sidecar && status.started) {
      if (status.ready) tally.ready += 1;
      continue;
    }
    tally.reason = initReason(status, index, inits.size);
    return { tally, sidecars, initializing: true };
  }
  return { tally, sidecars, initializing: false };
}

function initReason(status: ContainerStatus, index: number, total: number): string {
  const { terminated, waiting } = status.state ?? {};
  if (terminated) return `Init:${terminated.reason || exitText(terminated)}`;
  const why = waiting?.reason;
  return why && why !== 'PodInitializing' ? `Init:${why}` : `Init:${index}/${total}`;
}

function tallyContainers(pod: Pod, init: InitTally): Tally {
  const { restarts, lastRestart } = init.sidecars;
  const tally = { ...init.tally, restarts, lastRestart };
  let running = false;
  for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
    countRestarts(tally, status);
    const { waiting, terminated } = status.state ?? {};
    if (waiting?.reason) tally.reason = waiting.reason;
    else if (terminated) tally.reason = terminated.reason || exitText(terminated);
    else if (status.ready && status.state?.running) {
      running = true;
      tally.ready += 1;
    }
  }
  // One container may be done while others still run.
  if (tally.reason === 'Completed' && running) {
    tally.reason = podCondition(pod, 'Ready')?.status === 'True' ? 'Running' : 'NotReady';
  }
  return tally;
}

function exitText(terminated: { exitCode: number; signal?: number | undefined }): string {
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

function countRestarts(tally: Tally, status: ContainerStatus): void {
  tally.restarts += status.restartCount;
  const finished = status.lastState?.terminated?.finishedAt ?? '';
  if (finished > tally.lastRestart) tally.lastRestart = finished;
}

function deletionReason(pod: Pod): string | undefined {
  if (pod.metadata.deletionTimestamp === undefined) return undefined;
  if (pod.status?.reason === 'NodeLost') return 'Unknown';
  return isPodTerminal(pod) ? undefined : 'Terminating';
}
