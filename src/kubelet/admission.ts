import { fitsNode } from '../api/node-affinity.ts';
import { isPodTerminal } from '../api/pods.ts';
import { milliValue, parseQuantity, wholeValue } from '../api/quantity.ts';
import type { Node, Pod } from '../api/types.ts';
import { containersOf, initContainersOf } from './names.ts';
import type { Failure } from './pod-state.ts';
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
    const refused =
      this.#deps.pressure(pod) ??
      selectorRefusal(pod, this.#deps.node()) ??
      portRefusal(pod, this.#others(pod)) ??
      this.noRoom(pod);
    return refused && { ...refused, message: `Pod was rejected: ${refused.message}` };
  }

  /** The resource that the pod would not get beside the others; undefined when there is room. */
  noRoom(pod: Pod): Failure | undefined {
    return resourceRefusal(pod, this.#others(pod), this.#deps.allocatable());
  }

  #others(pod: Pod): Pod[] {
    return this.#deps.others(pod.metadata.uid).filter((p) => !isPodTerminal(p));
  }
}

function selectorRefusal(pod: Pod, node: Node | undefined): Failure | undefined {
  if (!node || !pod.spec || fitsNode(pod.spec, node)) return undefined;
  return {
    reason: 'NodeAffinity',
    message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  };
}

function portRefusal(pod: Pod, others: readonly Pod[]): Failure | undefined {
  const taken = new Set(others.flatMap(hostPorts));
  if (!hostPorts(pod).some((port) => taken.has(port))) return undefined;
  return {
    reason: 'NodePorts',
    message:
      "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
  };
}

function hostPorts(pod: Pod): string[] {
  return [...initContainersOf(pod), ...containersOf(pod)]
    .flatMap((c) => c.ports ?? [])
    .filter((p) => p.hostPort)
    .map((p) => `${p.protocol ?? 'TCP'}/${p.hostIP ?? ''}/${p.hostPort}`);
}

function resourceRefusal(
  pod: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): Failure | undefined {
  const maxPods = Number(allocatable.pods ?? Infinity);
  if (others.length + 1 > maxPods) {
    return outOf('pods', { requested: 1, used: others.length, capacity: maxPods });
  }
  for (const [name, text] of Object.entries(allocatable)) {
    if (name === 'pods') continue;
    const requested = podRequest(pod, name);
    if (requested === 0) continue;
    const quantity = parseQuantity(text);
    const capacity = name === 'cpu' ? milliValue(quantity) : wholeValue(quantity);
    const used = others.reduce((sum, p) => sum + podRequest(p, name), 0);
    if (used + requested > capacity) return outOf(name, { requested, used, capacity });
  }
  return undefined;
}

function outOf(
  resource: string,
  { requested, used, capacity }: { requested: number; used: number; capacity: number },
): Failure {
  return {
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}
