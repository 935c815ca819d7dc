import type { Event, ResourceQuota } from '../../api/types.ts';
import { bad, type Finding, good } from './findings.ts';

/** What makes Pods, as far as it counts here. Whatever kind it is, these fields mean the same. */
export interface Maker {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly ownerReferences?: readonly { readonly uid: string }[];
  };
  readonly spec?: {
    readonly replicas?: number;
    readonly paused?: boolean;
    readonly suspend?: boolean;
    readonly parallelism?: number;
    readonly schedule?: string;
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly desiredNumberScheduled?: number;
    readonly lastScheduleTime?: string;
    readonly startTime?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
      readonly reason?: string;
    }[];
  };
}

/** All that is known of a Pod that is not there. */
export interface AbsenceFacts {
  readonly namespace: string;
  /** Of the Pod, or of what makes it. */
  readonly name: string;
  readonly makers: readonly Maker[];
  /** Of the namespace, oldest first. */
  readonly events: readonly Event[];
  readonly quotas: readonly ResourceQuota[];
  /** How many Pods a maker has, by its uid. */
  readonly pods: ReadonlyMap<string, number>;
}

/** Says why a Pod is not there. Pure. */
export function diagnoseAbsence(facts: AbsenceFacts): Finding[] {
  const { namespace, name } = facts;
  const found = diagnoseMakers(facts);
  if (found.some(({ ok }) => !ok)) return found;
  const kinds = 'deployments,replicasets,statefulsets,daemonsets,jobs,cronjobs';
  return found.length === 0
    ? [
        bad(
          'pod',
          `${namespace} has no Pod ${name}, and nothing that would make one`,
          `kubectl -n ${namespace} get pods,${kinds}; kubectl get ns`,
        ),
      ]
    : [
        ...found,
        bad(
          'pod',
          `there is no ${name}; others may have taken its place`,
          `kubectl -n ${namespace} get pods`,
        ),
      ];
}

/** Walks from what was asked for down to what makes the Pod, and stops where nothing goes on. Pure. */
export function diagnoseMakers(facts: AbsenceFacts): Finding[] {
  const found: Finding[] = [];
  for (const maker of chainOf(facts)) {
    const finding = makerFinding(maker, facts);
    found.push(finding);
    if (!finding.ok) break;
  }
  return found;
}

/** What the name belongs to, and what that has made in its turn. */
export function chainOf({ makers, name }: Pick<AbsenceFacts, 'makers' | 'name'>): Maker[] {
  const named = makers
    .filter(({ metadata }) => name === metadata.name || name.startsWith(`${metadata.name}-`))
    .sort((a, b) => b.metadata.name.length - a.metadata.name.length);
  const [closest] = named;
  if (!closest) return [];
  const isOf = (child: Maker, parent: Maker) =>
    (child.metadata.ownerReferences ?? []).some(({ uid }) => uid === parent.metadata.uid);
  const parents = named.filter((one) => isOf(closest, one));
  // The one that was made last is the one that counts.
  const children = makers.filter((one) => isOf(one, closest)).slice(-1);
  return [...parents, closest, ...children];
}

function makerFinding(maker: Maker, facts: AbsenceFacts): Finding {
  const { kind, metadata } = maker;
  const { namespace } = facts;
  const word = kind.toLowerCase();
  const label = `${kind} ${metadata.name}`;
  if (isUnseen(maker)) {
    const next = 'k8ts doctor; the log of controller-manager';
    return bad('controller-manager', `has not looked at ${label} as it is now`, next);
  }
  const refused = refusal(maker, facts);
  if (refused) return refused;
  const problem = ownProblem(maker);
  if (problem !== undefined) {
    const next = `kubectl -n ${namespace} describe ${word} ${metadata.name}`;
    return bad(word, `${label} ${problem}`, next);
  }
  const count = facts.pods.get(metadata.uid ?? '') ?? 0;
  return good(word, count > 0 ? `${label} has ${count} Pods` : `${label} is as it was asked for`);
}

/** What in the object itself keeps it from making Pods. */
function ownProblem({ kind, spec = {}, status = {} }: Maker): string | undefined {
  if (spec.replicas === 0) return 'is to have no Pods: spec.replicas is 0';
  if (spec.suspend) return 'is suspended';
  const failed = (status.conditions ?? []).find(
    ({ type, status: is }) => type === 'Failed' && is === 'True',
  );
  if (failed) return `has failed: ${failed.message ?? failed.reason}`;
  if (kind === 'DaemonSet' && status.desiredNumberScheduled === 0) {
    return 'fits no node: see its nodeSelector and tolerations';
  }
  if (spec.paused) return 'is paused: it makes nothing new';
  if (kind === 'CronJob' && status.lastScheduleTime === undefined) {
    return `has not had its time yet: ${spec.schedule}`;
  }
  return undefined;
}

/** Whether its controller has not come to it. CronJobs say nothing of that. */
function isUnseen({ kind, metadata, spec, status = {} }: Maker): boolean {
  if (kind === 'CronJob') return false;
  if (kind === 'Job') return !spec?.suspend && status.startTime === undefined;
  return (status.observedGeneration ?? 0) < (metadata.generation ?? 0);
}

/** Why the API server let the controller make no Pod. */
function refusal(maker: Maker, facts: AbsenceFacts): Finding | undefined {
  const { kind, metadata } = maker;
  const { namespace, quotas } = facts;
  const message = refusalOf(maker, facts);
  if (message === undefined) return undefined;
  const quota = /(?:exceeded|failed) quota: ([^:,]+)/.exec(message)?.[1];
  if (quota !== undefined) {
    const full = quotas.find(({ metadata: { name } }) => name === quota);
    const what = full ? `${message} (${usageOf(full)})` : message;
    return bad('quota', what, `kubectl -n ${namespace} describe resourcequota ${quota}`);
  }
  const describe = `kubectl -n ${namespace} describe ${kind.toLowerCase()} ${metadata.name}`;
  const isRefused = /forbidden|denied|violates PodSecurity|admission/i.test(message);
  return bad(isRefused ? 'admission' : 'controller-manager', message, describe);
}

/** By a condition of the maker, or by the last event about it. */
function refusalOf({ metadata, status }: Maker, { events }: AbsenceFacts): string | undefined {
  const condition = (status?.conditions ?? []).find(
    ({ type, status: is }) => type === 'ReplicaFailure' && is === 'True',
  );
  if (condition?.message) return condition.message;
  const last = events.findLast(
    ({ involvedObject: about, reason }) =>
      about?.uid === metadata.uid && ['FailedCreate', 'SuccessfulCreate'].includes(reason ?? ''),
  );
  return last?.reason === 'FailedCreate' ? (last.message ?? '') : undefined;
}

function usageOf({ status }: ResourceQuota): string {
  const { hard = {}, used = {} } = status ?? {};
  return Object.keys(hard)
    .map((name) => `${name}: ${used[name] ?? 0} of ${hard[name]}`)
    .join(', ');
}
