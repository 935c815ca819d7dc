import type { PodInfo } from './pod-info.ts';

const NONE: readonly PodInfo[] = [];

/** Pods for whom room is being made on a node (status.nominatedNodeName): others must leave it to them. */
export class Nominator {
  readonly #byNode = new Map<string, PodInfo[]>();
  readonly #nodeOf = new Map<string, string>();

  /** An empty `nodeName` only forgets. */
  nominate(pod: PodInfo, nodeName: string): void {
    this.remove(pod.uid);
    if (nodeName === '') return;
    this.#nodeOf.set(pod.uid, nodeName);
    const members = this.#byNode.get(nodeName);
    if (members) members.push(pod);
    else this.#byNode.set(nodeName, [pod]);
  }

  remove(uid: string): void {
    const nodeName = this.#nodeOf.get(uid);
    if (nodeName === undefined) return;
    this.#nodeOf.delete(uid);
    const left = (this.#byNode.get(nodeName) ?? []).filter((pod) => pod.uid !== uid);
    if (left.length > 0) this.#byNode.set(nodeName, left);
    else this.#byNode.delete(nodeName);
  }

  get isEmpty(): boolean {
    return this.#nodeOf.size === 0;
  }

  nodeOf(uid: string): string | undefined {
    return this.#nodeOf.get(uid);
  }

  /** The Pods nominated to the node, without the asker. */
  on(nodeName: string): readonly PodInfo[] {
    return this.#byNode.get(nodeName) ?? NONE;
  }
}
