import type {
  Device,
  DeviceAttribute,
  DeviceConstraint,
  DeviceTaint,
  DeviceToleration,
} from './device-parts.ts';
import type { Candidate } from './device-pools.ts';
import type { Want } from './device-wants.ts';

/** A taint that keeps new users away and that the request does not tolerate. */
export function isTainted(
  { taints = [] }: Device,
  tolerations: readonly DeviceToleration[],
): boolean {
  return taints.some(
    (taint) =>
      (taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') &&
      !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
}

function tolerates(
  { key, operator, value, effect }: DeviceToleration,
  taint: DeviceTaint,
): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '');
}

/**
 * What the devices of a claim must have in common (matchAttribute), or not (distinctAttribute). Holds for every
 * part of the devices if it holds for all, so a search may stop at the first device that breaks it.
 */
export class AttributeConstraint {
  readonly #attribute: string;
  readonly #distinct: boolean;
  readonly #requests: readonly string[];
  readonly #values: string[] = [];

  constructor({ matchAttribute, distinctAttribute, requests = [] }: DeviceConstraint) {
    this.#attribute = matchAttribute ?? distinctAttribute ?? '';
    this.#distinct = matchAttribute === undefined;
    this.#requests = requests;
  }

  /** Takes the device in, unless it does not go with the others. */
  add(want: Want, candidate: Candidate): boolean {
    if (!this.#concerns(want)) return true;
    const value = attributeOf(candidate, this.#attribute);
    if (value === undefined) return false;
    const goes = this.#distinct
      ? !this.#values.includes(value)
      : this.#values.length === 0 || this.#values[0] === value;
    if (goes) this.#values.push(value);
    return goes;
  }

  /** Undoes the last `add` that took a device in. */
  remove(want: Want): void {
    if (this.#concerns(want)) this.#values.pop();
  }

  #concerns({ request, name }: Want): boolean {
    const requests = this.#requests;
    return requests.length === 0 || requests.includes(request) || requests.includes(name);
  }
}

/** With its type: 1 and "1" differ. */
function attributeOf({ device, pool }: Candidate, attribute: string): string | undefined {
  const slash = attribute.indexOf('/');
  const short = attribute.slice(0, slash) === pool.driver ? attribute.slice(slash + 1) : undefined;
  const found = device.attributes?.[attribute] ?? (short && device.attributes?.[short]);
  return found ? scalar(found) : undefined;
}

function scalar(attribute: DeviceAttribute): string | undefined {
  for (const type of ['string', 'int', 'bool', 'version'] as const) {
    const value = (attribute as Record<string, unknown>)[type];
    if (value !== undefined) return `${type}:${value}`;
  }
  return undefined;
}
