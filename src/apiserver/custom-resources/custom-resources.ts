import { isNotFound } from '../../api/errors.ts';
import type { Schema } from '../../api/schema.ts';
import { CUSTOM_RESOURCE_DEFINITIONS } from '../../api/system-resource-types.ts';
import type { KubeObject } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import type { Logger } from '../../util/log.ts';
import { timestamp } from '../before-write.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ResourceKind, WriteContext } from '../resource-kind.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';
import type { WebhookClient } from '../webhook-client.ts';
import { CLEANUP_FINALIZER, conditionsOf, withCondition } from './conditions.ts';
import { type Crd, customKind, definitionOf, schemaOf } from './custom-kind.ts';
import type { CustomSchema } from './definitions.ts';

export interface CustomResourcesDeps {
  readonly state: State;
  readonly store: ResourceStore;
  readonly kinds: KindRegistry;
  readonly builtin: Schema;
  readonly schema: CustomSchema;
  readonly webhooks: WebhookClient;
  readonly clock: Clock;
  readonly log: Logger;
}

const RETRY_MS = 1000;
const SERVER = { name: 'system:apiserver', groups: ['system:masters'] };

/**
 * Serves what CustomResourceDefinitions declare: each becomes kinds of the registry as soon as its names are
 * accepted, and goes with all its objects when it is deleted. Woken by every change of a definition.
 */
export class CustomResources {
  readonly #deps: CustomResourcesDeps;
  readonly #definitionKind: ResourceKind;
  /** By the definition's name: what it serves now. */
  readonly #served = new Map<string, { crd: Crd; kinds: readonly ResourceKind[] }>();
  readonly #dirty = new Set<string>();
  #wake: () => void = () => {};

  constructor(deps: CustomResourcesDeps) {
    this.#deps = deps;
    const { group, version, resource } = CUSTOM_RESOURCE_DEFINITIONS;
    const kind = deps.kinds.get(group, version, resource);
    if (!kind) throw new Error('customresourcedefinitions are not served');
    this.#definitionKind = kind;
  }

  /** Serves the stored definitions; call before requests are answered. */
  async start(): Promise<void> {
    const cache = await this.#deps.state.cache(this.#definitionKind);
    cache.addWatcher({
      scope: { namespace: '' },
      offer: ({ entry }) => this.#enqueue(entry.name),
    });
    for (const { name, served } of cache.slice('')) {
      const crd = parseObject(served.bytes) as unknown as Crd;
      if (isEstablished(crd)) this.#serve(crd);
      this.#enqueue(name);
    }
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const [name] = this.#dirty;
      if (name === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#dirty.delete(name);
      try {
        await this.#reconcile(name);
      } catch (err) {
        this.#deps.log.error({ crd: name, err: errorMessage(err) }, 'Could not serve definition');
        this.#deps.clock.after(RETRY_MS, () => this.#enqueue(name));
      }
    }
  }

  #enqueue(name: string): void {
    this.#dirty.add(name);
    this.#wake();
  }

  async #reconcile(name: string): Promise<void> {
    const crd = await this.#read(name);
    if (crd === undefined) {
      this.#withdraw(name);
      this.#enqueueUnaccepted();
      return;
    }
    if (crd.metadata.deletionTimestamp !== undefined) {
      await this.#cleanUp(crd);
      return;
    }
    const others = [...this.#served.values()].map((other) => other.crd);
    const status = conditionsOf(
      crd,
      others.filter((other) => other.metadata.name !== name),
      timestamp(this.#deps.clock.now()),
    );
    const next = { ...crd, status } as Crd;
    if (isEstablished(next)) this.#serve(next);
    if (!jsonEqual(status, crd.status)) await this.#writeStatus(crd, status);
  }

  /** Names that were taken may be free now. */
  #enqueueUnaccepted(): void {
    const cache = this.#deps.state.cache(this.#definitionKind);
    if (cache instanceof Promise) return;
    for (const { name } of cache.slice('')) if (!this.#served.has(name)) this.#enqueue(name);
  }

  #serve(crd: Crd): void {
    const { kinds, schema, builtin, webhooks } = this.#deps;
    const versions = crd.spec.versions.filter(({ served }) => served);
    const now = versions.map((version) => customKind(crd, version, { builtin, webhooks }));
    const name = crd.metadata.name;
    const before = this.#served.get(name);
    if (before && jsonEqual(before.crd.spec, crd.spec) && sameStored(before.crd, crd)) return;
    for (const gone of before?.kinds ?? []) {
      if (now.some(({ version }) => version === gone.version)) continue;
      kinds.delete(gone);
      schema.delete(gone.definition);
    }
    for (const version of versions) schema.set(definitionOf(crd, version), schemaOf(version));
    for (const kind of now) kinds.set(kind);
    this.#served.set(name, { crd, kinds: now });
    this.#deps.log.info({ crd: name }, 'Serving custom resource');
  }

  #withdraw(name: string): void {
    const served = this.#served.get(name);
    if (!served) return;
    for (const kind of served.kinds) {
      this.#deps.kinds.delete(kind);
      this.#deps.schema.delete(kind.definition);
    }
    this.#served.delete(name);
    this.#deps.log.info({ crd: name }, 'No longer serving custom resource');
  }

  /** Deletes the objects; when none is left, the finalizer goes, and with it the definition. */
  async #cleanUp(crd: Crd): Promise<void> {
    const { store, clock } = this.#deps;
    const name = crd.metadata.name;
    if (!crd.metadata.finalizers?.includes(CLEANUP_FINALIZER)) return;
    const left = await this.#deleteObjects(crd);
    if (left > 0) {
      const now = timestamp(clock.now());
      const message = `CustomResource deletion is in progress: ${left} instances remain`;
      const status = withCondition(crd, now, {
        ...{ type: 'Terminating', status: 'True', reason: 'InstanceDeletionInProgress', message },
      });
      if (!jsonEqual(status, crd.status)) await this.#writeStatus(crd, status);
      clock.after(RETRY_MS, () => this.#enqueue(name));
      return;
    }
    this.#withdraw(name);
    await store.update(
      this.#definitionKind,
      { namespace: '', name },
      {
        strategy: this.#definitionKind.strategy,
        subresource: '',
        isPatch: true,
        change(current) {
          const { finalizers = [] } = current.metadata;
          current.metadata.finalizers = finalizers.filter((f) => f !== CLEANUP_FINALIZER);
          return current;
        },
      },
      this.#context(),
    );
  }

  async #deleteObjects(crd: Crd): Promise<number> {
    const { state, store } = this.#deps;
    const [kind] = this.#served.get(crd.metadata.name)?.kinds ?? [];
    const [version] = crd.spec.versions;
    if (!version) return 0;
    const { conversion: _, ...of } = kind ?? customKind(crd, version, this.#deps);
    const cache = await state.cache(of);
    for (const { namespace, name } of cache.slice('')) {
      await store
        .delete(of, { namespace, name }, { dryRun: false }, this.#context())
        .catch((err) => {
          if (!isNotFound(err)) throw err;
        });
    }
    return (await state.cache(of)).size;
  }

  async #writeStatus(crd: Crd, status: Crd['status']): Promise<void> {
    const view = this.#definitionKind.subresources.status;
    if (view?.type !== 'view') return;
    await this.#deps.store
      .update(
        this.#definitionKind,
        { namespace: '', name: crd.metadata.name },
        {
          strategy: view.strategy,
          subresource: 'status',
          isPatch: true,
          change: (current) => ({ ...current, status }) as KubeObject,
        },
        this.#context(),
      )
      .catch((err) => {
        if (!isNotFound(err)) throw err;
      });
  }

  async #read(name: string): Promise<Crd | undefined> {
    try {
      const key = { namespace: '', name };
      const { object } = await this.#deps.store.read(this.#definitionKind, key);
      return object as unknown as Crd;
    } catch (err) {
      if (isNotFound(err)) return undefined;
      throw err;
    }
  }

  #context(): WriteContext {
    return { user: SERVER, dryRun: false, now: this.#deps.clock.now(), warn: () => {} };
  }
}

function isEstablished(crd: Crd): boolean {
  return (crd.status?.conditions ?? []).some(
    ({ type, status }) => type === 'Established' && status === 'True',
  );
}

function sameStored(a: Crd, b: Crd): boolean {
  return jsonEqual(a.status?.storedVersions ?? [], b.status?.storedVersions ?? []);
}
