import { isSidecar } from '../../api/pods.ts';
import type { ContainerStatus, Event, Node, Pod } from '../../api/types.ts';
import { isReady } from '../readiness.ts';
import { bad, type Finding, good } from './findings.ts';

/** All that is known of a Pod that does not do what it should. */
export interface PodFacts {
  readonly pod: Pod;
  /** Of the Pod, oldest first. */
  readonly events: readonly Event[];
  /** The node it is bound to, if that exists. */
  readonly node: Node | undefined;
}

/** Walks the way of a Pod, from the scheduler to its containers, and stops where it hangs. Pure. */
export function diagnosePod(facts: PodFacts): Finding[] {
  const { pod } = facts;
  const found: Finding[] = [];
  for (const look of [eviction, scheduling, nodeOf, deletion, sandbox, containers, readiness]) {
    const finding = look(facts);
    if (finding) found.push(finding);
    if (finding && !finding.ok) return found;
  }
  return [...found, good('pod', `${pod.metadata.name} runs and is ready`)];
}

/** A Pod that was ended as a whole, by its kubelet or by a controller, says why itself. */
function eviction({ pod }: PodFacts): Finding | undefined {
  const { phase, reason, message } = pod.status ?? {};
  if (phase !== 'Failed' || !reason) return undefined;
  const { name, namespace } = pod.metadata;
  return bad(
    'pod',
    `has failed: ${reason}: ${message ?? ''}`,
    `kubectl -n ${namespace} describe pod ${name}; kubectl describe node ${pod.spec?.nodeName ?? ''}`,
  );
}

/** One that is to be gone and is still there: somebody else holds it, or its kubelet is still at it. */
function deletion({ pod }: PodFacts): Finding | undefined {
  const { name, namespace, deletionTimestamp, finalizers = [] } = pod.metadata;
  if (deletionTimestamp === undefined) return undefined;
  const describe = `kubectl -n ${namespace} get pod ${name} -o yaml`;
  const ended = (pod.status?.containerStatuses ?? []).every(({ state }) => !state?.running);
  if (ended && finalizers.length > 0) {
    const who = finalizers.join(', ');
    return bad('finalizers', `it is deleted, and waits for whoever removes ${who}`, describe);
  }
  return bad(
    'kubelet',
    `it is deleted, and its containers are given until ${deletionTimestamp} to end`,
    `${describe}; on its node: k8ts doctor`,
  );
}

function scheduling({ pod }: PodFacts): Finding {
  const { name, namespace } = pod.metadata;
  if (pod.spec?.nodeName) return good('scheduler', `bound it to node ${pod.spec.nodeName}`);
  const gates = (pod.spec?.schedulingGates ?? []).map((gate) => gate.name);
  if (gates.length > 0) {
    return bad(
      'scheduler',
      `waits for whoever set the scheduling gates ${gates.join(', ')}`,
      `kubectl -n ${namespace} get pod ${name} -o jsonpath={.spec.schedulingGates}`,
    );
  }
  const condition = conditionOf(pod, 'PodScheduled');
  if (condition?.message) {
    return bad('scheduler', condition.message, `k8ts explain pod ${name} -n ${namespace}`);
  }
  const wanted = pod.spec?.schedulerName ?? 'default-scheduler';
  return bad(
    'scheduler',
    `nobody has looked at it yet; it asks for ${wanted}`,
    "k8ts status, and the scheduler's log if it runs",
  );
}

function nodeOf({ pod, node }: PodFacts): Finding {
  const name = pod.spec?.nodeName ?? '';
  if (!node) return bad('node', `${name} does not exist`, 'kubectl get nodes');
  if (isReady(node)) return good('node', `${name} is Ready`);
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  // Its kubelet lives and says what it lacks; Pods in the network of the node itself may do without that.
  if (ready?.status === 'False' && pod.status?.podIP) {
    return good('node', `${name} is not Ready, but runs this Pod`);
  }
  return bad(
    'kubelet',
    `node ${name} is not Ready: ${ready?.message ?? 'its kubelet has said nothing yet'}`,
    `kubectl describe node ${name}; on it: k8ts status`,
  );
}

/** The last warning of one of these reasons, while nothing has started since. */
function warning({ events }: PodFacts, reasons: readonly string[]): string | undefined {
  const last = events.filter(
    ({ type, reason }) => type === 'Warning' && reasons.includes(reason ?? ''),
  );
  return last.at(-1)?.message;
}

function sandbox(facts: PodFacts): Finding {
  const { name, namespace } = facts.pod.metadata;
  const describe = `kubectl -n ${namespace} describe pod ${name}`;
  if (facts.pod.status?.podIP) return good('sandbox', `has the address ${facts.pod.status.podIP}`);
  const volume = warning(facts, ['FailedMount', 'FailedAttachVolume', 'FailedMapVolume']);
  if (volume) return bad('volumes', volume, describe);
  const failed = warning(facts, ['FailedCreatePodSandBox', 'NetworkNotReady']);
  const logs = 'on its node: k8ts doctor, and the logs of kubelet and containerd';
  if (failed) return bad('runtime', failed, `${describe}; ${logs}`);
  return bad('kubelet', 'has not made the sandbox yet', `${describe}; ${logs}`);
}

function containers({ pod }: PodFacts): Finding {
  const first = pod.status?.initContainerStatuses ?? [];
  const all = [...first, ...(pod.status?.containerStatuses ?? [])];
  for (const status of all) {
    const finding = containerProblem(pod, status);
    if (finding) return finding;
  }
  return initProblem(pod) ?? good('containers', `${all.length} have started`);
}

/** One that prepares the others, and has not come to its end. */
function initProblem(pod: Pod): Finding | undefined {
  const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
  const busy = (pod.status?.initContainerStatuses ?? []).find(
    ({ name, state }) => state?.running !== undefined && !sidecars.includes(name),
  );
  if (!busy) return undefined;
  const { name, namespace } = pod.metadata;
  return bad(
    'init container',
    `${busy.name} runs since ${busy.state?.running?.startedAt}, and the others wait for its end`,
    `kubectl -n ${namespace} logs ${name} -c ${busy.name}`,
  );
}

// What the kubelet says of a container that waits, and who can do something about it.
const WAITING: Readonly<Record<string, string>> = {
  ErrImagePull: 'images',
  ImagePullBackOff: 'images',
  InvalidImageName: 'images',
  ErrImageNeverPull: 'images',
  CreateContainerConfigError: 'configuration',
  CreateContainerError: 'runtime',
  RunContainerError: 'runtime',
};

function containerProblem(
  pod: Pod,
  { name, state, lastState }: ContainerStatus,
): Finding | undefined {
  const { name: podName, namespace } = pod.metadata;
  const waiting = state?.waiting;
  const reason = waiting?.reason ?? '';
  if (reason === 'CrashLoopBackOff') {
    return bad(
      'container',
      `${name} ends again and again: ${endOf(lastState?.terminated)}`,
      `kubectl -n ${namespace} logs ${podName} -c ${name} --previous`,
    );
  }
  const ended = state?.terminated;
  if (ended !== undefined && ended.exitCode !== 0) {
    return bad(
      'container',
      `${name} has ended: ${endOf(ended)}`,
      `kubectl -n ${namespace} logs ${podName} -c ${name}`,
    );
  }
  const about = WAITING[reason];
  if (about === undefined) return undefined;
  return bad(
    about,
    `${name}: ${reason}: ${waiting?.message ?? ''}`,
    `kubectl -n ${namespace} describe pod ${podName}`,
  );
}

type End = NonNullable<NonNullable<ContainerStatus['state']>['terminated']>;

function endOf(end: End | undefined): string {
  const how = `${end?.reason ?? 'unknown'}, exit code ${end?.exitCode ?? '?'}`;
  if (end?.reason !== 'OOMKilled') return end?.message ? `${how}: ${end.message.trim()}` : how;
  return `${how}: it wanted more memory than its limit`;
}

function readiness(facts: PodFacts): Finding {
  const { pod } = facts;
  const { name, namespace } = pod.metadata;
  if (conditionOf(pod, 'Ready')?.status === 'True') return good('probes', 'it is ready');
  if (pod.status?.phase === 'Succeeded') return good('pod', 'it has run to its end');
  const message =
    warning(facts, ['Unhealthy']) ?? conditionOf(pod, 'Ready')?.message ?? 'it is not ready yet';
  return bad('probes', message, `kubectl -n ${namespace} describe pod ${name}`);
}

function conditionOf(pod: Pod, type: string) {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}
