import type { Node } from '../api/types.ts';
import { HostPorts } from './host-ports.ts';
import type { PodInfo } from './pod-info.ts';
import {
  addResources,
  copyResources,
  noResources,
  type Resources,
  subtractResources,
  toResources,
} from './resources.ts';
import type { Labels } from './selectors.ts';

const NO_LABELS: Labels = {};
const EMPTY_NODE = { apiVersion: 'v1', kind: 'Node' } as const;

/** One node and what runs on it, with running totals. The cache owns the original, a snapshot owns a copy. */
export class NodeInfo {
  readonly name: string;
  /** The newest known object; a placeholder when only Pods that name the node are known. */
  node: Node;
  labels: Labels = NO_LABELS;
  allocatable: Resources = noResources();
  /** Image name → size, as the kubelet reports them. */
  images: ReadonlyMap<string, number> = new Map();
  requested: Resources = noResources();
  nonZero: Resources = noResources();
  pods = new Map<string, PodInfo>();
  podsWithAffinity = new Map<string, PodInfo>();
  podsWithRequiredAntiAffinity = new Map<string, PodInfo>();
  ports = new HostPorts();
  /** How many Pods here use each claim, by namespace/name. */
  claims = new Map<string, number>();
  /** False for a node that is gone while Pods still name it. */
  exists = false;

  constructor(name: string) {
    this.name = name;
    this.node = {
      ...EMPTY_NODE,
      metadata: { name, namespace: '', uid: '', resourceVersion: '', creationTimestamp: '' },
    };
  }

  setNode(node: Node): void {
    this.node = node;
    this.exists = true;
    this.labels = node.metadata.labels ?? NO_LABELS;
    this.allocatable = toResources(node.status?.allocatable);
    this.images = new Map(
      (node.status?.images ?? []).flatMap((image) =>
        (image.names ?? []).map((name) => [name, image.sizeBytes ?? 0] as const),
      ),
    );
  }

  addPod(info: PodInfo): void {
    this.pods.set(info.uid, info);
    if (info.hasAffinity) this.podsWithAffinity.set(info.uid, info);
    if (info.requiredAntiAffinity.length > 0) {
      this.podsWithRequiredAntiAffinity.set(info.uid, info);
    }
    addResources(this.requested, info.requests);
    addResources(this.nonZero, info.nonZero);
    for (const port of info.hostPorts) this.ports.add(port);
    for (const claim of claimsOf(info)) this.claims.set(claim, (this.claims.get(claim) ?? 0) + 1);
  }

  /** Takes the Pod of that uid away; answers whether it was here. */
  removePod(uid: string): boolean {
    const info = this.pods.get(uid);
    if (!info) return false;
    this.pods.delete(uid);
    this.podsWithAffinity.delete(uid);
    this.podsWithRequiredAntiAffinity.delete(uid);
    subtractResources(this.requested, info.requests);
    subtractResources(this.nonZero, info.nonZero);
    for (const port of info.hostPorts) this.ports.remove(port);
    for (const claim of claimsOf(info)) {
      const left = (this.claims.get(claim) ?? 0) - 1;
      if (left > 0) this.claims.set(claim, left);
      else this.claims.delete(claim);
    }
    return true;
  }

  copy(): NodeInfo {
    const copy = new NodeInfo(this.name);
    copy.node = this.node;
    copy.exists = this.exists;
    copy.labels = this.labels;
    copy.allocatable = this.allocatable;
    copy.images = this.images;
    copy.requested = copyResources(this.requested);
    copy.nonZero = copyResources(this.nonZero);
    copy.pods = new Map(this.pods);
    copy.podsWithAffinity = new Map(this.podsWithAffinity);
    copy.podsWithRequiredAntiAffinity = new Map(this.podsWithRequiredAntiAffinity);
    copy.ports = this.ports.copy();
    copy.claims = new Map(this.claims);
    return copy;
  }
}

/** The PersistentVolumeClaims that a Pod uses, by namespace/name; ephemeral volumes have one named after Pod and volume. */
export function claimsOf(info: PodInfo): string[] {
  const out: string[] = [];
  for (const volume of info.pod.spec?.volumes ?? []) {
    if (volume.persistentVolumeClaim) {
      out.push(`${info.namespace}/${volume.persistentVolumeClaim.claimName}`);
    } else if (volume.ephemeral) {
      out.push(`${info.key}-${volume.name}`);
    }
  }
  return out;
}
