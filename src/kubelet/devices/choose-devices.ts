import { isSidecar } from '../../api/pods.ts';
import { parseQuantity, wholeValue } from '../../api/quantity.ts';
import type { Container, Pod } from '../../api/types.ts';
import { containersOf, initContainersOf } from '../names.ts';

/** What one container of a pod asks for. */
export interface DeviceWish {
  readonly container: string;
  readonly resource: string;
  readonly count: number;
  /** An init container that ends: what it had, later containers of the pod can have. */
  readonly passesOn: boolean;
}

/** Every device that a pod asks for, in the order in which containers start. `has` tells the resources of plugins. */
export function deviceWishes(pod: Pod, has: (resource: string) => boolean): DeviceWish[] {
  const of = (container: Container, passesOn: boolean): DeviceWish[] =>
    Object.entries(container.resources?.limits ?? {})
      .filter(([resource]) => has(resource))
      .map(([resource, text]) => ({
        container: container.name,
        resource,
        count: wholeValue(parseQuantity(text)),
        passesOn,
      }))
      .filter(({ count }) => count > 0);
  return [
    ...initContainersOf(pod).flatMap((c) => of(c, !isSidecar(c))),
    ...containersOf(pod).flatMap((c) => of(c, false)),
  ];
}

export interface Choice {
  /** Healthy devices that nobody has. */
  readonly free: readonly string[];
  /** What init containers of the same pod had. */
  readonly reusable: readonly string[];
  readonly count: number;
}

/** The devices that can be given and those that must be among them; throws when there are too few. Pure. */
export function deviceChoice(
  resource: string,
  { free, reusable, count }: Choice,
): { available: string[]; mustInclude: string[] } {
  const mustInclude = [...reusable].slice(0, count);
  const available = [...mustInclude, ...free.filter((id) => !mustInclude.includes(id))];
  if (available.length < count) {
    throw new Error(
      `requested number of devices unavailable for ${resource}. Requested: ${count}, Available: ${available.length}`,
    );
  }
  return { available, mustInclude };
}

/** The plugin's own preference as far as it is possible, filled up with others. Pure. */
export function settleChoice(
  { available, mustInclude }: { available: readonly string[]; mustInclude: readonly string[] },
  preferred: readonly string[],
  count: number,
): string[] {
  const wanted = preferred.filter((id) => available.includes(id));
  return [...new Set([...mustInclude, ...wanted, ...available])].slice(0, count);
}
