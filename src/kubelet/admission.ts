import { fitsNode } from '../api/node-affinity.ts';
import { isPodTerminal } from '../api/pods.ts';
import { milliValue, parseQuantity, wholeValue } from '../api/quantity.ts';
import type { Node, Pod } from '../api/types.ts';
import { isCriticalPod } from './critical-pods.ts';
import { containersOf, initContainersOf, isStatic } from './names.ts';
import type { Failure } from './pod-state.ts';
import { mayPreempt, preemptionVictims, type Shortage } from './preemption.ts';
import { podRequest } from './resources.ts';
import { type NodeAbilities, settingsRefusal } from './settings-admission.ts';

export interface AdmissionDeps {
  node(): Node | undefined;
  allocatable(): Readonly<Record<string, string>>;
  /** What the node can do for pods. */
  abilities(): NodeAbilities;
  /** Why the node, short of something, takes no such pod now. */
  pressure(pod: Pod): Failure | undefined;
  /** The other pods that hold resources of the node. */
  others(uid: string): readonly Pod[];
  /** Whether the pod is ending already. */
  isEnding(pod: Pod): boolean;
}

/** The kubelet's own leave: what the scheduler saw may be out of date, or the pod came past it. */
export class Admission {
  readonly #deps: AdmissionDeps;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /** Why the pod may not run here; undefined when it may. */
  refusal(pod: Pod): Failure | undefined {
    const settings = settingsRefusal(pod, this.#deps.abilities());
    if (settings) return settings;
    const refused = this.#unfit(pod) ?? this.noRoom(pod);
    return refused && { ...refused, message: `Pod was rejected: ${refused.message}` };
  }

  /** What no other pod's end would change. */
  #unfit(pod: Pod): Failure | undefined {
    const node = this.#deps.node();
    return (
      this.#deps.pressure(pod) ??
      selectorRefusal(pod, node) ??
      taintRefusal(pod, node) ??
      portRefusal(pod, this.#others(pod))
    );
  }

  /** The resource that the pod would not get beside the others; undefined when there is room. */
  noRoom(pod: Pod): Failure | undefined {
    const [first] = this.#wanting(pod, this.#others(pod));
    if (!first) return undefined;
    const { resource, requested, used, capacity } = first;
    return {
      reason: `OutOf${resource}`,
      message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
    };
  }

  /**
   * The pods that must end so that this one, which the node cannot do without, has room; none when those that are ending
   * already are enough. Undefined when the pod is not of that kind, or nobody's end would help.
   */
  victims(pod: Pod): readonly Pod[] | undefined {
    if (!isCriticalPod(pod) || settingsRefusal(pod, this.#deps.abilities()) || this.#unfit(pod)) {
      return undefined;
    }
    const staying = this.#others(pod).filter((p) => !this.#deps.isEnding(p));
    const shortages: Shortage[] = this.#wanting(pod, staying).map(
      ({ resource, requested, used, capacity }) => ({
        resource,
        missing: requested + used - capacity,
      }),
    );
    return preemptionVictims(
      shortages,
      staying.filter((p) => mayPreempt(pod, p)),
    );
  }

  #wanting(pod: Pod, others: readonly Pod[]): Want[] {
    return wanting(pod, others, this.#deps.allocatable());
  }

  #others(pod: Pod): Pod[] {
    return this.#deps.others(pod.metadata.uid).filter((p) => !isPodTerminal(p));
  }
}

/** Refusals that a newer look at the node may take back. */
export const isAboutNode = ({ reason }: Failure): boolean =>
  reason === 'NodeAffinity' || reason === 'TaintToleration';

function selectorRefusal(pod: Pod, node: Node | undefined): Failure | undefined {
  if (!node || !pod.spec || fitsNode(pod.spec, node)) return undefined;
  return {
    reason: 'NodeAffinity',
    message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  };
}

/** Static pods come past every taint. */
function taintRefusal(pod: Pod, node: Node | undefined): Failure | undefined {
  if (isStatic(pod)) return undefined;
  const tolerations = pod.spec?.tolerations ?? [];
  const untolerated = (node?.spec?.taints ?? [])
    .filter(({ effect }) => effect === 'NoExecute')
    .some((taint) => !tolerations.some((t) => tolerates(t, taint)));
  if (!untolerated) return undefined;
  return {
    reason: 'TaintToleration',
    message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
  };
}

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
type Toleration = NonNullable<NonNullable<Pod['spec']>['tolerations']>[number];

function tolerates({ effect, key, operator, value }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (key !== undefined && (value ?? '') === (taint.value ?? ''));
}

function portRefusal(pod: Pod, others: readonly Pod[]): Failure | undefined {
  const taken = others.flatMap(hostPorts);
  if (!hostPorts(pod).some((port) => taken.some((other) => collide(port, other)))) return undefined;
  return {
    reason: 'NodePorts',
    message:
      "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
  };
}

interface HostPort {
  readonly protocol: string;
  readonly ip: string;
  readonly port: number;
}

const ANY_ADDRESS = '0.0.0.0';

function hostPorts(pod: Pod): HostPort[] {
  return [...initContainersOf(pod), ...containersOf(pod)]
    .flatMap((c) => c.ports ?? [])
    .flatMap(({ hostPort, hostIP, protocol = 'TCP' }) =>
      hostPort ? [{ protocol, ip: hostIP || ANY_ADDRESS, port: hostPort }] : [],
    );
}

function collide(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.port !== b.port) return false;
  return a.ip === b.ip || a.ip === ANY_ADDRESS || b.ip === ANY_ADDRESS;
}

interface Want {
  readonly resource: string;
  readonly requested: number;
  readonly used: number;
  readonly capacity: number;
}

/** Every resource of which there is too little for the pod beside the others. */
function wanting(
  pod: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): Want[] {
  const found: Want[] = [];
  const maxPods = Number(allocatable.pods ?? Infinity);
  if (others.length + 1 > maxPods) {
    found.push({ resource: 'pods', requested: 1, used: others.length, capacity: maxPods });
  }
  for (const [resource, text] of Object.entries(allocatable)) {
    if (resource === 'pods') continue;
    const requested = podRequest(pod, resource);
    if (requested === 0) continue;
    const quantity = parseQuantity(text);
    const capacity = resource === 'cpu' ? milliValue(quantity) : wholeValue(quantity);
    const used = others.reduce((sum, p) => sum + podRequest(p, resource), 0);
    if (used + requested > capacity) found.push({ resource, requested, used, capacity });
  }
  return found;
}
