import { type FieldError, invalid, required } from '../../api/field-errors.ts';
import type { SelectorRequirement } from './selectors.ts';

/** A selector as a review states it: its text or its conditions. */
export interface SelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly SelectorRequirement[];
}

interface AccessSpec {
  readonly resourceAttributes?:
    | { readonly fieldSelector?: SelectorAttributes; readonly labelSelector?: SelectorAttributes }
    | undefined;
  readonly nonResourceAttributes?: object | undefined;
  readonly user?: string | undefined;
  readonly groups?: readonly string[] | undefined;
}

/** What is wrong with the question (upstream's ValidateSubjectAccessReviewSpec). */
export function validateAccessSpec(
  spec: AccessSpec,
  { namesUser }: { namesUser: boolean },
): FieldError[] {
  const { resourceAttributes, nonResourceAttributes } = spec;
  const out: FieldError[] = [];
  if (resourceAttributes && nonResourceAttributes) {
    const detail = 'cannot be specified in combination with resourceAttributes';
    out.push(invalid('spec.nonResourceAttributes', nonResourceAttributes, detail));
  }
  if (!resourceAttributes && !nonResourceAttributes) {
    const detail = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    out.push(invalid('spec.resourceAttributes', null, detail));
  }
  if (namesUser && !spec.user && !spec.groups?.length) {
    out.push(invalid('spec.user', '', 'at least one of user or group must be specified'));
  }
  const at = 'spec.resourceAttributes';
  return [
    ...out,
    ...validateSelector(resourceAttributes?.fieldSelector, `${at}.fieldSelector`),
    ...validateSelector(resourceAttributes?.labelSelector, `${at}.labelSelector`),
  ];
}

function validateSelector(selector: SelectorAttributes | undefined, at: string): FieldError[] {
  if (!selector) return [];
  const { rawSelector = '', requirements = [] } = selector;
  if (rawSelector !== '' && requirements.length > 0) {
    return [
      invalid(
        `${at}.rawSelector`,
        rawSelector,
        'may not specified at the same time as requirements',
      ),
    ];
  }
  if (rawSelector === '' && requirements.length === 0) {
    const detail = `when ${at} is specified, requirements or rawSelector is required`;
    return [required(`${at}.requirements`, detail)];
  }
  return requirements.flatMap((one, i) => validateRequirement(one, `${at}.requirements[${i}]`));
}

/** Unknown operators may come with newer clients: they are nobody's fault, and narrow nothing here. */
function validateRequirement(
  { key, operator, values = [] }: SelectorRequirement,
  at: string,
): FieldError[] {
  const out = key ? [] : [required(`${at}.key`, 'must be specified')];
  if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
    return [
      ...out,
      required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"),
    ];
  }
  if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
    const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    return [...out, invalid(`${at}.values`, values, detail)];
  }
  return out;
}
