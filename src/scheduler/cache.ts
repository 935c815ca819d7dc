import type { Node } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';
import { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { interleaveZones, type Snapshot, zoneOf } from './snapshot.ts';

interface CachedPod {
  info: PodInfo;
  /** Placed by us, not yet seen as bound by the API server. */
  assumed: boolean;
  cancelExpiry?: () => void;
}

/**
 * Nodes and the Pods on them: those that the API server says are bound, and those that this scheduler has
 * just placed ("assumed") and whose binding is under way. A cycle reads a snapshot, which copies only the
 * nodes that changed since the one before.
 */
export class Cache {
  readonly #clock: Clock;
  readonly #assumedTtlMs: number;
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #pods = new Map<string, CachedPod>();
  readonly #snapshot = new CacheSnapshot();
  readonly #dirty = new Set<string>();
  #orderChanged = false;

  /** `assumedTtlMs`: how long a bound Pod may stay unconfirmed before it is dropped; 0 is for ever, as upstream. */
  constructor(deps: { clock: Clock }, options: { assumedTtlMs?: number } = {}) {
    this.#clock = deps.clock;
    this.#assumedTtlMs = options.assumedTtlMs ?? 0;
  }

  get nodeCount(): number {
    return this.#snapshot.nodes.length;
  }

  get podCount(): number {
    return this.#pods.size;
  }

  get assumedCount(): number {
    let count = 0;
    for (const pod of this.#pods.values()) if (pod.assumed) count++;
    return count;
  }

  setNode(node: Node): void {
    const info = this.#nodeInfo(node.metadata.name);
    const moved = !info.exists || zoneOf(info.labels) !== zoneOf(node.metadata.labels ?? {});
    if (moved) this.#orderChanged = true;
    this.#countImages(info, -1);
    info.setNode(node);
    this.#countImages(info, 1);
    this.#dirty.add(info.name);
  }

  /** The Pods that name the node stay known: it may come back, and their removal is told later. */
  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (!info) return;
    this.#countImages(info, -1);
    info.exists = false;
    if (info.pods.size === 0) this.#nodes.delete(name);
    this.#orderChanged = true;
    this.#dirty.add(name);
  }

  /** The Pod is bound, says the API server; this confirms an assumed one, wherever it was assumed to be. */
  addPod(info: PodInfo): void {
    this.#take(info.uid);
    this.#put({ info, assumed: false });
  }

  removePod(uid: string): void {
    this.#take(uid);
  }

  /** The Pod counts as on `info.nodeName` from now on. */
  assume(info: PodInfo): void {
    if (this.#pods.has(info.uid)) {
      throw new Error(`Pod ${info.key} is in the cache, so it cannot be assumed`);
    }
    this.#put({ info, assumed: true });
  }

  /** The binding was written; the informer will confirm it, or the Pod expires. */
  finishBinding(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod?.assumed || this.#assumedTtlMs === 0) return;
    pod.cancelExpiry = this.#clock.after(this.#assumedTtlMs, () => this.forget(uid));
  }

  /** Takes an assumed Pod back; a confirmed one stays. */
  forget(uid: string): void {
    if (this.#pods.get(uid)?.assumed) this.#take(uid);
  }

  isAssumed(uid: string): boolean {
    return this.#pods.get(uid)?.assumed ?? false;
  }

  getPod(uid: string): PodInfo | undefined {
    return this.#pods.get(uid)?.info;
  }

  /** The live view of one node, for event handlers. */
  getNode(name: string): NodeInfo | undefined {
    const info = this.#nodes.get(name);
    return info?.exists ? info : undefined;
  }

  /** Brings the snapshot up to date and answers it. It is the same object each time: one cycle, one snapshot. */
  snapshot(): Snapshot {
    this.#snapshot.update(this.#nodes, this.#dirty, this.#orderChanged);
    this.#dirty.clear();
    this.#orderChanged = false;
    return this.#snapshot;
  }

  #countImages(info: NodeInfo, by: number): void {
    if (!info.exists) return;
    const counts = this.#snapshot.nodesWithImage;
    for (const image of info.images.keys()) {
      const count = (counts.get(image) ?? 0) + by;
      if (count > 0) counts.set(image, count);
      else counts.delete(image);
    }
  }

  /** What the last `snapshot()` answered. */
  get current(): Snapshot {
    return this.#snapshot;
  }

  #nodeInfo(name: string): NodeInfo {
    let info = this.#nodes.get(name);
    if (!info) {
      info = new NodeInfo(name);
      this.#nodes.set(name, info);
    }
    return info;
  }

  #put(pod: CachedPod): void {
    this.#pods.set(pod.info.uid, pod);
    this.#nodeInfo(pod.info.nodeName).addPod(pod.info);
    this.#dirty.add(pod.info.nodeName);
  }

  #take(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod) return;
    pod.cancelExpiry?.();
    this.#pods.delete(uid);
    const node = this.#nodes.get(pod.info.nodeName);
    if (!node) return;
    node.removePod(uid);
    if (!node.exists && node.pods.size === 0) this.#nodes.delete(node.name);
    this.#dirty.add(pod.info.nodeName);
  }
}

class CacheSnapshot implements Snapshot {
  nodes: NodeInfo[] = [];
  readonly withAffinity = new Map<string, NodeInfo>();
  readonly withRequiredAntiAffinity = new Map<string, NodeInfo>();
  /** Not frozen for a cycle: a preference may look ahead. */
  readonly nodesWithImage = new Map<string, number>();
  #places = new Map<string, number>();

  get(nodeName: string): NodeInfo | undefined {
    const place = this.#places.get(nodeName);
    return place === undefined ? undefined : this.nodes[place];
  }

  update(
    live: ReadonlyMap<string, NodeInfo>,
    dirty: ReadonlySet<string>,
    orderChanged: boolean,
  ): void {
    if (orderChanged) this.#reorder(live);
    for (const name of dirty) {
      const place = this.#places.get(name);
      const now = live.get(name);
      if (place === undefined || !now) continue;
      const copy = now.copy();
      this.nodes[place] = copy;
      this.#fileByAffinity(copy);
    }
  }

  #reorder(live: ReadonlyMap<string, NodeInfo>): void {
    const existing = [...live.values()].filter((node) => node.exists);
    this.nodes = interleaveZones(existing).map((node) => this.get(node.name) ?? node.copy());
    this.#places = new Map(this.nodes.map((node, place) => [node.name, place]));
    this.withAffinity.clear();
    this.withRequiredAntiAffinity.clear();
    for (const node of this.nodes) this.#fileByAffinity(node);
  }

  #fileByAffinity(node: NodeInfo): void {
    if (node.podsWithAffinity.size > 0) this.withAffinity.set(node.name, node);
    else this.withAffinity.delete(node.name);
    if (node.podsWithRequiredAntiAffinity.size > 0) {
      this.withRequiredAntiAffinity.set(node.name, node);
    } else this.withRequiredAntiAffinity.delete(node.name);
  }
}
