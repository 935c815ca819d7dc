import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { labelValue, qualifiedName } from '../../../api/names.ts';
import type { Node } from '../../../api/types.ts';
import { familyOf } from '../../../util/ip.ts';
import { checked, each, oneOf, repeated } from '../validation.ts';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateNode({ spec }: Node): FieldError[] {
  const taints = spec?.taints ?? [];
  const doubles = repeated(taints, (taint) => `${taint.key}:${taint.effect}`);
  return [
    ...each(taints, 'spec.taints', (taint, at, index) => [
      ...checked(taint.key, qualifiedName, `${at}.key`),
      ...checked(taint.value ?? '', labelValue, `${at}.value`),
      ...oneOf(taint.effect, EFFECTS, `${at}.effect`),
      ...(doubles.has(index) ? [{ ...duplicate(at, taint) }] : []),
    ]),
    ...each(spec?.podCIDRs, 'spec.podCIDRs', validateCidr),
    ...validateFamilies(spec?.podCIDRs ?? []),
  ];
}

/** One range of Pods for each family. */
function validateFamilies(ranges: readonly string[]): FieldError[] {
  if (ranges.length < 2) return [];
  const detail = 'may specify no more than one CIDR for each IP family';
  const families = new Set(ranges.map(familyOf));
  return families.size === ranges.length ? [] : [invalid('spec.podCIDRs', ranges, detail)];
}

/** `10.244.1.0/24` */
export function validateCidr(text: string, field: string): FieldError[] {
  if (text === '') return [required(field)];
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = familyOf(address);
  const good = family !== undefined && Number(bits) <= (family === 4 ? 32 : 128);
  const detail = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  return good ? [] : [invalid(field, text, detail)];
}

/** What a node was given by the cluster once stays. */
export function validateNodeUpdate(node: Node, old: Node): FieldError[] {
  const out = validateNode(node);
  const [before, after] = [old.spec, node.spec];
  if (before?.podCIDRs?.length && after?.podCIDRs?.join() !== before.podCIDRs.join()) {
    const detail = 'node updates may not change podCIDR except from "" to valid';
    out.push(forbidden('spec.podCIDRs', detail));
  }
  if (before?.providerID && after?.providerID !== before.providerID) {
    const detail = 'node updates may not change providerID except from "" to valid';
    out.push(forbidden('spec.providerID', detail));
  }
  return out;
}
