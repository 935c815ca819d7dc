import type { Container, Pod } from '../api/types.ts';

/** So many different parts are remembered; a cluster has fewer templates. */
const MOST = 4096;

/** Of equal parts of many objects one is kept. Objects of informers are never changed, so they may share. */
export class SharedParts {
  readonly #byText = new Map<string, unknown>();

  /** The part as it was first seen. */
  of<T>(part: T): T {
    if (typeof part !== 'object' || part === null) return part;
    const text = JSON.stringify(part);
    const known = this.#byText.get(text);
    if (known !== undefined) return known as T;
    // Forgetting all costs only room: parts that objects hold stay as they are.
    if (this.#byText.size >= MOST) this.#byText.clear();
    this.#byText.set(text, part);
    return part;
  }
}

/** Lets a Pod, which nobody has seen yet, share with others what comes from its template: most of it. */
export function sharePod(pod: Pod, parts: SharedParts): Pod {
  const { metadata, spec } = pod;
  shareFields(metadata, ['labels', 'annotations', 'ownerReferences'], parts);
  if (!spec) return pod;
  shareFields(spec, ['tolerations', 'affinity', 'nodeSelector', 'securityContext'], parts);
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    // Its mounts name a volume that each Pod has of its own.
    const own = new Set(['volumeMounts']);
    const names = Object.keys(container).filter((name) => !own.has(name));
    shareFields(container, names as (keyof Container)[], parts);
  }
  for (const volume of spec.volumes ?? []) {
    shareFields(volume, Object.keys(volume) as (keyof typeof volume)[], parts);
  }
  return pod;
}

function shareFields<T extends object>(
  object: T,
  fields: readonly (keyof T)[],
  parts: SharedParts,
): void {
  for (const field of fields) {
    if (object[field] !== undefined) object[field] = parts.of(object[field]);
  }
}
