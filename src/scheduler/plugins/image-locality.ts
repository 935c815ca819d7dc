import { MAX_NODE_SCORE, type ScorePlugin } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import type { PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';

const MB = 1024 * 1024;
/** Less image than this saves no time; more than that, per container, is no better. */
const MIN_BYTES = 23 * MB;
const MAX_BYTES_PER_CONTAINER = 1000 * MB;

/** Prefers nodes that have the Pod's images already, weighted by how many nodes have them: no hot spots. */
export function imageLocality({ snapshot }: { snapshot: () => Snapshot }): ScorePlugin {
  return {
    name: 'ImageLocality',
    wakeOn: [],

    score(_state, pod, node) {
      if (node.images.size === 0) return 0;
      const { nodes, nodesWithImage } = snapshot();
      return priority(pod, presentBytes(pod, node, nodesWithImage, nodes.length));
    },
  };
}

function presentBytes(
  pod: PodInfo,
  node: NodeInfo,
  nodesWithImage: ReadonlyMap<string, number>,
  nodeCount: number,
): number {
  let sum = 0;
  for (const image of imagesOf(pod)) {
    const size = node.images.get(image);
    if (size === undefined) continue;
    sum += Math.trunc(size * ((nodesWithImage.get(image) ?? 1) / nodeCount));
  }
  return sum;
}

function imagesOf({ pod }: PodInfo): string[] {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const images = containers.map((container) => withTag(container.image ?? ''));
  const volumes = (pod.spec?.volumes ?? []).flatMap((volume) =>
    volume.image?.reference ? [withTag(volume.image.reference)] : [],
  );
  return [...images, ...volumes];
}

/** An image without tag or digest is `latest`. */
function withTag(image: string): string {
  return image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
}

function priority({ pod }: PodInfo, bytes: number): number {
  const containers = (pod.spec?.initContainers?.length ?? 0) + (pod.spec?.containers.length ?? 0);
  const max = MAX_BYTES_PER_CONTAINER * containers;
  const counted = Math.min(Math.max(bytes, MIN_BYTES), max);
  return Math.trunc((MAX_NODE_SCORE * (counted - MIN_BYTES)) / (max - MIN_BYTES));
}
