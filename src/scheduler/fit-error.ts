import { type Status, statusMessage } from './status.ts';

/** Why a Pod fits nowhere. */
export interface Diagnosis {
  readonly nodeCount: number;
  /** The refusal of each node that was asked. */
  readonly rejections: ReadonlyMap<string, Status>;
  /** The refusal of nodes that did not even come into question. */
  readonly absent: Status | undefined;
  /** PreFilter refused the Pod for all nodes at once. */
  readonly preFilterMessage: string;
  /** The plugins to blame: their events wake the Pod. */
  readonly rejectedBy: Set<string>;
  readonly pendingOn: Set<string>;
  /** What the search for a way out found. */
  postFilterMessage: string;
}

/** Notes the plugin of a refusal. */
export function blame(
  diagnosis: Pick<Diagnosis, 'rejectedBy' | 'pendingOn'>,
  status: Status,
): void {
  if (status.plugin === undefined || status.plugin === '') return;
  (status.code === 'Pending' ? diagnosis.pendingOn : diagnosis.rejectedBy).add(status.plugin);
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: …`, worded as upstream does. */
export function fitErrorMessage(diagnosis: Diagnosis): string {
  const { nodeCount, preFilterMessage, postFilterMessage } = diagnosis;
  let message = `0/${nodeCount} nodes are available:`;
  if (preFilterMessage !== '') {
    message += ` ${preFilterMessage}.`;
  } else {
    const reasons = reasonCounts(diagnosis);
    if (reasons !== '') message += ` ${reasons}.`;
  }
  if (postFilterMessage === '') return message;
  // What preemption says ends like this message itself does.
  return `${message} ${postFilterMessage}${postFilterMessage.endsWith('.') ? '' : '.'}`;
}

function reasonCounts({ nodeCount, rejections, absent }: Diagnosis): string {
  const counts = new Map<string, number>();
  const count = (reason: string, times: number) =>
    counts.set(reason, (counts.get(reason) ?? 0) + times);
  for (const status of rejections.values()) {
    for (const reason of status.reasons) count(reason, 1);
  }
  const others = nodeCount - rejections.size;
  if (others > 0 && absent) {
    for (const reason of absent.reasons) count(reason, others);
  }
  return [...counts]
    .map(([reason, times]) => `${times} ${reason}`)
    .sort()
    .join(', ');
}

/** Thrown by nothing: the answer of a cycle that found no node. */
export function diagnose(
  nodeCount: number,
  parts: { rejections?: Map<string, Status>; absent?: Status; preFilter?: Status } = {},
): Diagnosis {
  const { rejections = new Map<string, Status>(), absent, preFilter } = parts;
  const diagnosis: Diagnosis = {
    nodeCount,
    rejections,
    absent,
    preFilterMessage: preFilter ? statusMessage(preFilter) : '',
    rejectedBy: new Set(),
    pendingOn: new Set(),
    postFilterMessage: '',
  };
  for (const status of rejections.values()) blame(diagnosis, status);
  if (preFilter) blame(diagnosis, preFilter);
  return diagnosis;
}
