import { type FieldError, invalid, required } from '../../../api/field-errors.ts';
import { qualifiedName } from '../../../api/names.ts';
import { compareQuantities, parseQuantity } from '../../../api/quantity.ts';
import type { ResourceRequirements } from '../../../api/types.ts';
import { checked, quantityNotNegative } from '../validation.ts';

const STANDARD = new Set(['cpu', 'memory', 'ephemeral-storage']);

/** Requests and limits of a container (or of a whole Pod). */
export function validateResources(
  resources: ResourceRequirements | undefined,
  path: string,
): FieldError[] {
  const { limits = {}, requests = {} } = resources ?? {};
  const out: FieldError[] = [];
  for (const [name, text] of Object.entries(limits)) {
    const field = `${path}.limits[${name}]`;
    out.push(...validateResourceName(name, field));
    out.push(...quantityNotNegative(text, field));
    out.push(...wholeIfExtended(name, text, field));
  }
  for (const [name, text] of Object.entries(requests)) {
    const field = `${path}.requests[${name}]`;
    out.push(...validateResourceName(name, field));
    out.push(...quantityNotNegative(text, field));
    out.push(...wholeIfExtended(name, text, field));
    out.push(...withinLimit(name, text, limits[name], path));
  }
  return out;
}

function withinLimit(
  name: string,
  request: string,
  limit: string | undefined,
  path: string,
): FieldError[] {
  const field = `${path}.requests`;
  if (limit === undefined) {
    if (overcommittable(name)) return [];
    return [required(`${path}.limits`, 'Limit must be set for non overcommitable resources')];
  }
  const order = compareQuantities(parseQuantity(request), parseQuantity(limit));
  if (overcommittable(name) ? order > 0 : order !== 0) {
    const relation = overcommittable(name) ? 'less than or equal to' : 'equal to';
    return [invalid(field, request, `must be ${relation} ${name} limit of ${limit}`)];
  }
  return [];
}

/** Only what the kernel can share may be promised twice: not devices, not huge pages. */
function overcommittable(name: string): boolean {
  return !isExtended(name) && !name.startsWith('hugepages-');
}

function isExtended(name: string): boolean {
  return name.includes('/') && !name.includes('kubernetes.io/');
}

function wholeIfExtended(name: string, text: string, field: string): FieldError[] {
  if (!isExtended(name)) return [];
  const whole = parseQuantity(text).nanos % 1_000_000_000n === 0n;
  return whole ? [] : [invalid(field, text, 'must be an integer')];
}

/** A name that a container may ask for. */
export function validateResourceName(name: string, field: string): FieldError[] {
  const out = checked(name, qualifiedName, field);
  if (out.length > 0 || name.includes('/')) return out;
  if (STANDARD.has(name) || name.startsWith('hugepages-')) return [];
  return [
    invalid(field, name, 'must be a standard resource type or fully qualified'),
    invalid(field, name, 'must be a standard resource for containers'),
  ];
}
