import { type FieldError, invalid, required, tooMany } from '../../../api/field-errors.ts';
import { dns1123Subdomain } from '../../../api/names.ts';
import type { Job } from '../../../api/types.ts';
import { checked, each, notNegative, oneOf } from '../validation.ts';

type JobSpec = NonNullable<Job['spec']>;
type SuccessRule = NonNullable<JobSpec['successPolicy']>['rules'][number];

const MAX_RULES = 20;
const MAX_MANAGER = 63;

/** When a Job that counts its Pods may be called successful before all of them are. */
export function validateSuccessPolicy(spec: JobSpec, field: string): FieldError[] {
  const { successPolicy, completionMode, completions = 0 } = spec;
  if (!successPolicy) return [];
  if (completionMode !== 'Indexed') {
    return [invalid(field, successPolicy, 'requires indexed completion mode')];
  }
  const { rules } = successPolicy;
  const at = `${field}.rules`;
  const detail = 'at least one rules must be specified when the successPolicy is specified';
  return [
    ...(rules.length === 0 ? [required(at, detail)] : []),
    ...(rules.length > MAX_RULES ? [tooMany(at, rules.length, MAX_RULES)] : []),
    ...each(rules, at, (rule, where) => validateSuccessRule(rule, completions, where)),
  ];
}

function validateSuccessRule(rule: SuccessRule, completions: number, at: string): FieldError[] {
  const { succeededCount: count, succeededIndexes: indexes } = rule;
  if (count === undefined && indexes === undefined) {
    const detail = 'at least one of succeededCount or succeededIndexes must be specified';
    return [required(at, detail)];
  }
  const out = notNegative(count, `${at}.succeededCount`);
  const wrong = indexes === undefined ? undefined : wrongIndexes(indexes, completions);
  if (wrong) {
    const detail = `error parsing succeededIndexes: ${wrong}`;
    out.push(invalid(`${at}.succeededIndexes`, indexes, detail));
  }
  if (count !== undefined && count > completions) {
    const detail = `must be less than or equal to ${completions} (the number of specified completions)`;
    out.push(invalid(`${at}.succeededCount`, count, detail));
  }
  return out;
}

/** What is wrong with `1,3-5`: rising intervals below the number of completions. */
function wrongIndexes(text: string, completions: number): string | undefined {
  let last = -1;
  for (const part of text.split(',')) {
    const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (from === undefined || to === undefined) {
      return `cannot convert string to integer for index: "${part}"`;
    }
    if (Number(to) >= completions) return `too large index: "${to}"`;
    if (Number(from) <= last || (part.includes('-') && Number(to) <= Number(from))) {
      return `non-increasing order, current: ${from}, previous: ${last}`;
    }
    last = Number(to);
  }
  return undefined;
}

/** With a failure policy, only a Pod that has failed may be replaced. */
export function validateReplacement(spec: JobSpec, field: string): FieldError[] {
  const { podReplacementPolicy: policy, podFailurePolicy } = spec;
  if (policy === undefined) return [];
  return oneOf(policy, podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'], field);
}

/** Another controller: `example.com/job-controller`. */
export function validateManagedBy(name: string | undefined, field: string): FieldError[] {
  if (name === undefined) return [];
  if (name === '') return [required(field)];
  const slash = name.indexOf('/');
  const [domain, rest] = [name.slice(0, slash), name.slice(slash + 1)];
  if (slash <= 0 || rest === '') {
    const detail = 'must be a domain-prefixed path (such as "acme.io/foo")';
    return [invalid(field, name, detail)];
  }
  const out = checked(domain, dns1123Subdomain, field);
  if (name.length > MAX_MANAGER) {
    const message = `Too long: may not be more than ${MAX_MANAGER} bytes`;
    out.push({ type: 'FieldValueTooLong', field, message });
  }
  return out;
}
