import { isNotFound } from '../../api/errors.ts';
import { type CountedType, countedType, inScope, quotaUsage, usedOf } from '../../api/quota.ts';
import {
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  RESOURCE_QUOTAS,
  type ResourceType,
  SERVICES,
} from '../../api/resource-types.ts';
import { RESOURCE_CLAIMS } from '../../api/system-resource-types.ts';
import type { PartialObject, ResourceQuota } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import { type Controller, DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { discover } from '../discovery.ts';

/** Kinds of which more than their number is counted: their whole objects are needed. */
const WHOLE: readonly ResourceType<unknown>[] = [
  PODS,
  SERVICES,
  PERSISTENT_VOLUME_CLAIMS,
  RESOURCE_CLAIMS,
];
/** Creations were charged by admission; this is only to catch what slipped by, many at once. */
const AFTER_CREATION_MS = 5_000;

export function resourceQuotaController(context: ControllerContext): Runnable {
  const quotas = context.informers.get(RESOURCE_QUOTAS);
  const reconciler = new QuotaReconciler(context, quotas, (namespace, ms) => {
    for (const quota of quotas.list(namespace)) controller.enqueueAfter(keyOf(quota), ms);
  });
  const controller: Controller = newController(context, reconciler);
  const recheckMs = context.options.resourceQuotaSyncPeriodMs;
  quotas.addHandler({
    onAdd: (quota) => controller.enqueue(keyOf(quota)),
    onUpdate: (before, after) => {
      if (!jsonEqual(before.spec, after.spec)) controller.enqueue(keyOf(after));
      // Admission charges the status; what somebody else wrote there is put right later (upstream's resync).
      else if (!isShown(after)) controller.enqueueAfter(keyOf(after), recheckMs);
    },
  });
  controller.needs(quotas);
  return controller;
}

/** Counts anew what a quota limits: admission only ever adds. */
class QuotaReconciler implements Reconciler {
  readonly name = 'resourcequota-controller';
  readonly #context: ControllerContext;
  readonly #quotas: Informer<ResourceQuota>;
  readonly #changed: (namespace: string, afterMs: number) => void;
  readonly #counted = new Map<string, Informer<PartialObject>>();

  constructor(
    context: ControllerContext,
    quotas: Informer<ResourceQuota>,
    changed: (namespace: string, afterMs: number) => void,
  ) {
    this.#context = context;
    this.#quotas = quotas;
    this.#changed = changed;
  }

  async reconcile(key: ObjectKey, signal: AbortSignal): Promise<Result> {
    const quota = this.#quotas.get(key);
    if (!quota || quota.metadata.deletionTimestamp) return DONE;
    const hard = quota.spec?.hard ?? {};
    const used = await this.#count(quota, hard, signal);
    const status = { hard, used };
    if (jsonEqual(quota.status, status)) return DONE;
    try {
      const changed = { ...quota, status };
      await this.#context.client.update(RESOURCE_QUOTAS, changed, { subresource: 'status' });
    } catch (err) {
      if (!isNotFound(err)) throw err;
    }
    return DONE;
  }

  async #count(
    quota: ResourceQuota & { metadata: { namespace: string } },
    hard: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Record<string, string>> {
    const types = new Map<string, CountedType>();
    for (const name of Object.keys(hard)) {
      const type = countedType(name);
      if (type) types.set(`${type.resource}.${type.group}`, type);
    }
    const usages: ReturnType<typeof quotaUsage>[] = [];
    for (const type of types.values()) {
      const informer = await this.#informer(type, signal);
      for (const object of informer?.list(quota.metadata.namespace) ?? []) {
        if (inScope(quota, type, object)) usages.push(quotaUsage(type, object));
      }
    }
    return usedOf(hard, usages);
  }

  /** Kinds are watched from when a quota first counts them. Undefined: the server knows no such kind (yet). */
  async #informer(
    type: CountedType,
    signal: AbortSignal,
  ): Promise<Informer<PartialObject> | undefined> {
    const id = `${type.resource}.${type.group}`;
    const isWanted = (one: CountedType) =>
      one.group === type.group && one.resource === type.resource;
    let informer = this.#counted.get(id);
    if (!informer) {
      const { client, informers } = this.#context;
      const whole = WHOLE.find(isWanted);
      const known = whole ?? (await discover(client, signal)).types.find(isWanted);
      if (!known) return undefined;
      informer = informers.get(known as ResourceType<PartialObject>, { metadataOnly: !whole });
      this.#counted.set(id, informer);
      informer.addHandler({
        onAdd: (object, initial) => {
          if (!initial) this.#changed(object.metadata.namespace, AFTER_CREATION_MS);
        },
        onUpdate: (before, after) => {
          if (!sameUsage(type, before, after)) this.#changed(after.metadata.namespace, 0);
        },
        onDelete: (object) => this.#changed(object.metadata.namespace, 0),
      });
    }
    await informer.whenSynced(signal);
    return informer;
  }
}

function sameUsage(type: CountedType, before: PartialObject, after: PartialObject): boolean {
  const text = (object: PartialObject) =>
    [...quotaUsage(type, object)].map(([name, { nanos }]) => `${name}=${nanos}`).join();
  return text(before) === text(after);
}

/** The status shows the limits that the spec sets, and a use for each. */
function isShown({ spec, status }: ResourceQuota): boolean {
  const names = Object.keys(spec?.hard ?? {});
  return (
    jsonEqual(spec?.hard ?? {}, status?.hard ?? {}) &&
    names.every((name) => name in (status?.used ?? {}))
  );
}
