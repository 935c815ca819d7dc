import { formatQuantity, parseQuantity, type Quantity } from '../../api/quantity.ts';
import type { Device, RequestPolicy } from './device-parts.ts';

/** Amounts by capacity, in billionths. */
export type Amounts = ReadonlyMap<string, bigint>;

const NOTHING: Amounts = new Map();

/**
 * How much of a device a request takes: of one that is shared (allowMultipleAllocations) as much as its policies make
 * of what is asked for, of another nothing in particular, for it is taken whole. Undefined: it has not so much.
 */
export function taken(
  device: Device,
  requested: Readonly<Record<string, string>>,
  used: Amounts = NOTHING,
): Amounts | undefined {
  const capacity = device.capacity ?? {};
  if (Object.keys(requested).some((name) => capacity[name] === undefined)) return undefined;
  const out = new Map<string, bigint>();
  for (const [name, { value, requestPolicy }] of Object.entries(capacity)) {
    const whole = parseQuantity(value).nanos;
    const asked = requested[name];
    if (!device.allowMultipleAllocations) {
      if (asked !== undefined && parseQuantity(asked).nanos > whole) return undefined;
      continue;
    }
    const share = shareOf(asked, requestPolicy, whole);
    if (share === undefined || share + (used.get(name) ?? 0n) > whole) return undefined;
    out.set(name, share);
  }
  return out;
}

/** What is asked for, rounded up to what may be given. */
function shareOf(
  asked: string | undefined,
  policy: RequestPolicy | undefined,
  whole: bigint,
): bigint | undefined {
  const text = asked ?? policy?.default;
  if (text === undefined) return whole;
  const wanted = parseQuantity(text).nanos;
  if (policy?.validValues?.length) {
    const values = policy.validValues.map((one) => parseQuantity(one).nanos);
    return values.filter((value) => value >= wanted).sort((a, b) => (a < b ? -1 : 1))[0];
  }
  return policy?.validRange ? inRange(wanted, policy.validRange) : wanted;
}

function inRange(
  wanted: bigint,
  { min, max, step }: NonNullable<RequestPolicy['validRange']>,
): bigint | undefined {
  const least = parseQuantity(min).nanos;
  let share = wanted < least ? least : wanted;
  const width = step === undefined ? 0n : parseQuantity(step).nanos;
  if (width > 0n) {
    const over = (share - least) % width;
    if (over > 0n) share += width - over;
  }
  return max !== undefined && share > parseQuantity(max).nanos ? undefined : share;
}

/** As the allocation result tells it. */
export function consumedCapacity(device: Device, amounts: Amounts): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, nanos] of amounts) {
    const { format }: Quantity = parseQuantity(device.capacity?.[name]?.value ?? '0');
    out[name] = formatQuantity({ nanos, format });
  }
  return out;
}
