import { type Amounts, amountsOf, podAmounts } from '../../api/pod-resources.ts';
import {
  compareQuantities,
  formatQuantity,
  milliValue,
  type Quantity,
} from '../../api/quantity.ts';
import { LIMIT_RANGES, PERSISTENT_VOLUME_CLAIMS, PODS } from '../../api/resource-types.ts';
import type { Container, LimitRange, PersistentVolumeClaim, Pod } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { allOf, forbiddenByAdmission, isAbout, type PluginDeps } from './plugin.ts';

type Item = NonNullable<LimitRange['spec']>['limits'][number];

const ANNOTATION = 'kubernetes.io/limit-ranger';

/** What the LimitRanges of a namespace say: defaults for containers that name no amounts, and bounds for all. */
export function limitRanger(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'LimitRanger',
    async mutate(request) {
      if (request.operation !== 'CREATE' || !isAbout(request, PODS)) return;
      for (const { spec } of await allOf(deps, LIMIT_RANGES, request.namespace)) {
        setDefaults(request.object as unknown as Pod, spec?.limits ?? []);
      }
    },
    async validate(request) {
      const problemsOf = judgeOf(request);
      if (!problemsOf) return;
      for (const { spec } of await allOf(deps, LIMIT_RANGES, request.namespace)) {
        const problems = (spec?.limits ?? []).flatMap(problemsOf);
        if (problems.length === 0) continue;
        const text = problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`;
        throw forbiddenByAdmission(request, text ?? '');
      }
    },
  };
}

/** How a request is judged by one item of a range; undefined: it is none of their business. */
function judgeOf(request: AdmissionRequest): ((item: Item) => string[]) | undefined {
  const { operation, object, kind, subresource } = request;
  if (!object || operation === 'DELETE') return undefined;
  const isPod = kind.group === '' && kind.resource === 'pods';
  // A Pod's amounts change by its resize alone.
  if (isPod && (operation === 'CREATE' ? subresource === '' : subresource === 'resize')) {
    return (item) => podProblems(object as unknown as Pod, item);
  }
  if (isAbout(request, PERSISTENT_VOLUME_CLAIMS)) {
    return (item) => claimProblems(object as unknown as PersistentVolumeClaim, item);
  }
  return undefined;
}

function setDefaults(pod: Pod, items: readonly Item[]): void {
  const { spec, metadata } = pod;
  if (!spec) return;
  const notes: string[] = [];
  for (const item of items) {
    if (item.type !== 'Container') continue;
    for (const container of spec.containers) notes.push(...fill(container, item, 'container'));
    for (const container of spec.initContainers ?? []) {
      notes.push(...fill(container, item, 'init container'));
    }
  }
  if (notes.length === 0) return;
  const text = `LimitRanger plugin set: ${notes.join('; ')}`;
  metadata.annotations = { ...metadata.annotations, [ANNOTATION]: text };
}

function fill(container: Container, item: Item, what: string): string[] {
  const notes: string[] = [];
  for (const [part, word, defaults] of [
    ['requests', 'request', item.defaultRequest],
    ['limits', 'limit', item.default],
  ] as const) {
    const said = container.resources?.[part] ?? {};
    const missing = Object.keys(defaults ?? {}).filter((name) => !Object.hasOwn(said, name));
    if (missing.length === 0) continue;
    const filled = missing.map((name) => [name, defaults?.[name] ?? '']);
    container.resources = {
      ...container.resources,
      [part]: { ...said, ...Object.fromEntries(filled) },
    };
    notes.push(`${missing.sort().join(', ')} ${word} for ${what} ${container.name}`);
  }
  return notes;
}

function podProblems(pod: Pod, item: Item): string[] {
  const { spec } = pod;
  if (!spec) return [];
  if (item.type === 'Pod')
    return problemsOf(item, podAmounts(spec, 'requests'), podAmounts(spec, 'limits'));
  if (item.type !== 'Container') return [];
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  return containers.flatMap(({ resources }) =>
    problemsOf(item, amountsOf(resources?.requests), amountsOf(resources?.limits)),
  );
}

function problemsOf(item: Item, requests: Amounts, limits: Amounts): string[] {
  const { type, min, max, maxLimitRequestRatio } = item;
  const out: string[] = [];
  for (const [name, bound] of amountsOf(min)) {
    out.push(
      ...minimum(
        `minimum ${name} usage per ${type} is ${formatQuantity(bound)}`,
        bound,
        requests.get(name),
        limits.get(name),
      ),
    );
  }
  for (const [name, bound] of amountsOf(max)) {
    out.push(
      ...maximum(
        `maximum ${name} usage per ${type} is ${formatQuantity(bound)}`,
        bound,
        requests.get(name),
        limits.get(name),
      ),
    );
  }
  for (const [name, bound] of amountsOf(maxLimitRequestRatio)) {
    const said = `${name} max limit to request ratio per ${type} is ${formatQuantity(bound)}`;
    out.push(...ratio(said, bound, requests.get(name), limits.get(name)));
  }
  return out;
}

const isLess = (a: Quantity, b: Quantity): boolean => compareQuantities(a, b) < 0;

function minimum(
  said: string,
  bound: Quantity,
  request: Quantity | undefined,
  limit: Quantity | undefined,
): string[] {
  if (!request) return [`${said}.  No request is specified`];
  if (isLess(request, bound)) return [`${said}, but request is ${formatQuantity(request)}`];
  if (limit && isLess(limit, bound)) return [`${said}, but limit is ${formatQuantity(limit)}`];
  return [];
}

function maximum(
  said: string,
  bound: Quantity,
  request: Quantity | undefined,
  limit: Quantity | undefined,
): string[] {
  if (!limit) return [`${said}.  No limit is specified`];
  if (isLess(bound, limit)) return [`${said}, but limit is ${formatQuantity(limit)}`];
  if (request && isLess(bound, request))
    return [`${said}, but request is ${formatQuantity(request)}`];
  return [];
}

function ratio(
  said: string,
  bound: Quantity,
  request: Quantity | undefined,
  limit: Quantity | undefined,
): string[] {
  if (!request || request.nanos === 0n)
    return [`${said}, but no request is specified or request is 0`];
  if (!limit || limit.nanos === 0n) return [`${said}, but no limit is specified or limit is 0`];
  const found = Number(limit.nanos) / Number(request.nanos);
  if (found * 1000 <= milliValue(bound)) return [];
  return [`${said}, but provided ratio is ${found.toFixed(6)}`];
}

function claimProblems({ spec }: PersistentVolumeClaim, item: Item): string[] {
  if (item.type !== 'PersistentVolumeClaim') return [];
  const requests = amountsOf(spec?.resources?.requests);
  const out: string[] = [];
  for (const [name, bound] of amountsOf(item.min)) {
    const said = `minimum ${name} usage per ${item.type} is ${formatQuantity(bound)}`;
    out.push(...minimum(said, bound, requests.get(name), undefined));
  }
  for (const [name, bound] of amountsOf(item.max)) {
    const said = `maximum ${name} usage per ${item.type} is ${formatQuantity(bound)}`;
    const request = requests.get(name);
    if (!request) out.push(`${said}.  No request is specified`);
    else if (isLess(bound, request)) out.push(`${said}, but request is ${formatQuantity(request)}`);
  }
  return out;
}
