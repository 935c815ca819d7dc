import { isForbidden } from '../../api/errors.ts';
import type { Amounts } from '../../api/pod-resources.ts';
import { formatQuantity, parseQuantity, subtractQuantities, ZERO } from '../../api/quantity.ts';
import { exceeded, inScope, quotaUsage, usedOf } from '../../api/quota.ts';
import { RESOURCE_QUOTAS } from '../../api/resource-types.ts';
import type { KubeObject, Pod, ResourceQuota } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { ResourceKind, Strategy } from '../resource-kind.ts';
import { systemContext } from '../system-objects.ts';
import { allOf, forbiddenByAdmission, type PluginDeps } from './plugin.ts';

/** What a quota is charged with: nothing, or less than nothing, when an update gives back. */
interface Charge {
  readonly quota: ResourceQuota;
  readonly amounts: Amounts;
}

/**
 * Nothing is made beyond what the ResourceQuotas of its namespace allow. A write is charged to the status of every
 * quota that is about it before it is stored, by compare-and-swap: of two that race for the last place one loses.
 * What is deleted, or was charged and then not stored, is given back when the quota controller counts anew.
 */
export function resourceQuota(deps: PluginDeps): AdmissionPlugin {
  /** The last charge of each namespace: one after the other they need no second try. */
  const last = new Map<string, Promise<void>>();
  return {
    name: 'ResourceQuota',
    async validate(request) {
      if (!isCounted(request)) return;
      const charges = await chargesOf(deps, request);
      if (charges.length === 0) return;
      const { namespace } = request;
      const before = last.get(namespace) ?? Promise.resolve();
      const mine = before.then(() => chargeAll(deps, request, charges));
      const settled = mine.catch(() => {});
      last.set(namespace, settled);
      try {
        await mine;
      } finally {
        if (last.get(namespace) === settled) last.delete(namespace);
      }
    },
  };
}

function isCounted({ namespace, operation, subresource, kind, object }: AdmissionRequest): boolean {
  if (namespace === '' || !object || (operation !== 'CREATE' && operation !== 'UPDATE'))
    return false;
  if (kind.resource === 'events') return false;
  return subresource === '' || (kind.resource === 'pods' && subresource === 'resize');
}

async function chargesOf(deps: PluginDeps, request: AdmissionRequest): Promise<Charge[]> {
  const { kind, object, old, namespace } = request;
  const quotas = await allOf(deps, RESOURCE_QUOTAS, namespace);
  const about = quotas.filter((quota) => inScope(quota, kind, object));
  const usage = quotaUsage(kind, object);
  const charges: Charge[] = [];
  for (const quota of about) {
    const hard = quota.status?.hard ?? {};
    if (kind.group === '' && kind.resource === 'pods') {
      requireAmounts(request, quota.metadata.name, Object.keys(hard));
    }
    const before = old && inScope(quota, kind, old) ? quotaUsage(kind, old) : new Map();
    const amounts = difference(usage, before, hard);
    if (amounts.size === 0) continue;
    requireStatus(request, quota);
    charges.push({ quota, amounts });
  }
  return charges;
}

/** `now` minus `before`, of what the quota limits, without what stays the same. */
function difference(
  now: Amounts,
  before: Amounts,
  hard: Readonly<Record<string, string>>,
): Amounts {
  const out: Amounts = new Map();
  for (const name of Object.keys(hard)) {
    const change = subtractQuantities(now.get(name) ?? ZERO, before.get(name) ?? ZERO);
    if (change.nanos !== 0n) out.set(name, change);
  }
  return out;
}

const COMPUTE = new Set([
  ...['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'],
]);

/** A Pod must name what a quota of its namespace counts: an unknown amount cannot be charged. */
function requireAmounts(request: AdmissionRequest, quota: string, names: readonly string[]): void {
  const { spec } = request.object as unknown as Pod;
  if (!spec || request.operation !== 'CREATE') return;
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const missing = names
    .filter((name) => COMPUTE.has(name))
    .sort()
    .flatMap((name) => {
      const part = name.startsWith('limits.') ? 'limits' : 'requests';
      const resource = name.replace(/^(limits|requests)\./, '');
      if (spec.resources?.[part]?.[resource] !== undefined) return [];
      const silent = containers.filter((c) => c.resources?.[part]?.[resource] === undefined);
      if (silent.length === 0) return [];
      return [
        `${name} for: ${silent
          .map((c) => c.name)
          .sort()
          .join(',')}`,
      ];
    });
  if (missing.length === 0) return;
  throw forbiddenByAdmission(request, `failed quota: ${quota}: must specify ${missing.join('; ')}`);
}

function requireStatus(request: AdmissionRequest, { metadata, status }: ResourceQuota): void {
  const names = Object.keys(status?.hard ?? {});
  const unknown = names.filter((name) => status?.used?.[name] === undefined);
  if (unknown.length === 0) return;
  throw forbiddenByAdmission(
    request,
    `status unknown for quota: ${metadata.name}, resources: ${unknown.sort().join(',')}`,
  );
}

async function chargeAll(
  deps: PluginDeps,
  request: AdmissionRequest,
  charges: readonly Charge[],
): Promise<void> {
  const done: Charge[] = [];
  try {
    for (const charge of charges) {
      await apply(deps, charge, { request });
      done.push(charge);
    }
  } catch (err) {
    if (!isForbidden(err)) throw err;
    for (const charge of done) await apply(deps, negated(charge), { request, isRefund: true });
    throw err;
  }
}

function negated({ quota, amounts }: Charge): Charge {
  const back = [...amounts].map(
    ([name, amount]) => [name, subtractQuantities(ZERO, amount)] as const,
  );
  return { quota, amounts: new Map(back) };
}

async function apply(
  { kinds, store }: PluginDeps,
  { quota, amounts }: Charge,
  { request, isRefund = false }: { request: AdmissionRequest; isRefund?: boolean },
): Promise<void> {
  const kind = kinds.get('', 'v1', 'resourcequotas');
  if (!kind) return;
  const { namespace, name } = quota.metadata;
  const change = (object: KubeObject): KubeObject => {
    const current = object as unknown as ResourceQuota;
    const { hard = {}, used = {} } = current.status ?? {};
    if (!isRefund) refuseTooMuch(request, name, { hard, used, amounts });
    const sums = usedOf(hard, [amountsIn(used), amounts]);
    current.status = { ...current.status, used: { ...used, ...sums } };
    delete object.metadata.resourceVersion;
    return object;
  };
  const context = { ...systemContext(request.now), dryRun: request.dryRun };
  await store().update(
    kind,
    { namespace, name },
    { strategy: statusStrategy(kind), subresource: 'status', change },
    context,
  );
}

function statusStrategy(kind: ResourceKind): Strategy {
  const { status } = kind.subresources;
  return status?.type === 'view' ? status.strategy : kind.strategy;
}

function amountsIn(list: Readonly<Record<string, string>>): Amounts {
  return new Map(Object.entries(list).map(([name, text]) => [name, parseQuantity(text)]));
}

function refuseTooMuch(
  request: AdmissionRequest,
  quota: string,
  {
    hard,
    used,
    amounts,
  }: {
    hard: Readonly<Record<string, string>>;
    used: Readonly<Record<string, string>>;
    amounts: Amounts;
  },
): void {
  const names = exceeded(hard, used, amounts).sort();
  if (names.length === 0) return;
  const list = (amountOf: (name: string) => string) =>
    names.map((name) => `${name}=${amountOf(name)}`).join(',');
  const requested = list((name) => formatQuantity(amounts.get(name) ?? ZERO));
  const taken = list((name) => used[name] ?? '0');
  const limited = list((name) => hard[name] ?? '0');
  throw forbiddenByAdmission(
    request,
    `exceeded quota: ${quota}, requested: ${requested}, used: ${taken}, limited: ${limited}`,
  );
}
