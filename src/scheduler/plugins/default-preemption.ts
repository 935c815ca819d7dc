import type { Pod, PodDisruptionBudget } from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import type { Evictor } from '../evictor.ts';
import { consultPreemption, type Extender } from '../extender.ts';
import { diagnose, fitErrorMessage } from '../fit-error.ts';
import type {
  PostFilterPlugin,
  PostFilterResult,
  PreEnqueuePlugin,
  Unplaced,
} from '../framework.ts';
import type { SchedulerMetrics } from '../metrics.ts';
import type { NodeInfo } from '../node-info.ts';
import { candidatesWanted, dryRun } from '../preemption.ts';
import { FITS, type Status, unresolvable, unschedulable } from '../status.ts';
import { cheapest } from '../victims.ts';

/** DefaultPreemptionArgs. */
export interface DefaultPreemptionArgs {
  readonly minCandidateNodesPercentage: number;
  readonly minCandidateNodesAbsolute: number;
}

export const DEFAULT_PREEMPTION_ARGS: DefaultPreemptionArgs = {
  minCandidateNodesPercentage: 10,
  minCandidateNodesAbsolute: 100,
};

const NOT_HELPFUL = unresolvable('Preemption is not helpful for scheduling');
const UNDER_WAY = unresolvable('waiting for the preemption for this pod to be finished');

export interface PreemptionDeps {
  readonly budgets: Lister<PodDisruptionBudget>;
  readonly extenders: readonly Extender[];
  readonly evictor: Evictor;
  readonly metrics: SchedulerMetrics;
  readonly random: () => number;
}

/** Makes room for a Pod by evicting Pods of lower priority from the node where that costs least. */
export function defaultPreemption(
  deps: PreemptionDeps,
  args: DefaultPreemptionArgs = DEFAULT_PREEMPTION_ARGS,
): PostFilterPlugin & PreEnqueuePlugin {
  return {
    name: 'DefaultPreemption',
    // The Pods that go wake it; until the evictions are written it is held back.
    wakeOn: [{ on: ['AssignedPod/Delete'] }],

    preEnqueue: (pod) => (deps.evictor.isBusyFor(pod.uid) ? UNDER_WAY : FITS),

    async postFilter(unplaced, framework): Promise<PostFilterResult> {
      const refusal = notEligible(unplaced);
      if (refusal !== undefined) return { status: said(refusal) };
      const { snapshot, rejections, pod } = unplaced;
      const nodes = snapshot.nodes.filter(
        (node) => rejections.get(node.name)?.code === 'Unschedulable',
      );
      const run = dryRun(unplaced, nodes, framework, {
        budgets: deps.budgets.list(),
        enough: candidatesWanted(nodes.length, args),
        offset: Math.floor(deps.random() * nodes.length),
      });
      const candidates = await consultPreemption(deps.extenders, pod, run.candidates);
      const chosen = cheapest(candidates);
      if (!chosen)
        return { status: nothingFound(snapshot.nodes.length, run.rejections), nominatedNode: '' };
      deps.metrics.preemption(chosen.pods.length);
      deps.evictor.start(pod, chosen);
      return { nominatedNode: chosen.nodeName, status: undefined };
    },
  };
}

function said(message: string): Status {
  return unschedulable(`preemption: ${message}`);
}

function nothingFound(nodeCount: number, rejections: Map<string, Status>): Status {
  return said(fitErrorMessage(diagnose(nodeCount, { rejections, absent: NOT_HELPFUL })));
}

/** Why the Pod may not preempt at all, if so. */
function notEligible({ pod, snapshot, rejections }: Unplaced): string | undefined {
  if (pod.pod.spec?.preemptionPolicy === 'Never') {
    return 'not eligible due to preemptionPolicy=Never.';
  }
  const nominated = pod.pod.status?.nominatedNodeName;
  const node = nominated ? snapshot.get(nominated) : undefined;
  if (!node || rejections.get(node.name)?.code === 'UnschedulableAndUnresolvable') return undefined;
  return leaving(node, pod.priority)
    ? 'not eligible due to a terminating pod on the nominated node.'
    : undefined;
}

/** Victims of an earlier preemption still take their time to go: room will come without more. */
function leaving(node: NodeInfo, priority: number): boolean {
  return [...node.pods.values()].some(
    (other) => other.priority < priority && isPreempted(other.pod),
  );
}

function isPreempted(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp === undefined) return false;
  const condition = pod.status?.conditions?.find((c) => c.type === 'DisruptionTarget');
  return condition?.status === 'True' && condition.reason === 'PreemptionByScheduler';
}
