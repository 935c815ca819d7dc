import { isConflict, isNotFound } from '../../api/errors.ts';
import { FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS } from '../../api/system-resource-types.ts';
import type { FlowSchema, KubeObject } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import type { ResourceKind } from '../resource-kind.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';
import { type SystemObjectDeps, systemContext } from '../system-objects.ts';
import { danglingStatus, ensureFlowDefaults } from './bootstrap.ts';

export type FlowSchemaStatusDeps = SystemObjectDeps & {
  readonly state: State;
  readonly log: Logger;
};

const RETRY_MS = 1000;

/** Makes the default configuration of the flow control, then keeps the status of flow schemas: whether their priority levels exist. */
export async function tendFlowConfiguration(
  deps: FlowSchemaStatusDeps,
  signal: AbortSignal,
): Promise<void> {
  const { kinds, state, clock, log } = deps;
  const kindOf = ({
    group,
    version,
    resource,
  }: {
    group: string;
    version: string;
    resource: string;
  }) => kinds.get(group, version, resource);
  const schemaKind = kindOf(FLOW_SCHEMAS);
  const levelKind = kindOf(PRIORITY_LEVEL_CONFIGURATIONS);
  if (!schemaKind || !levelKind) return;
  let wake = (): void => {};
  let isDirty = true;
  const touch = (): void => {
    isDirty = true;
    wake();
  };
  for (const kind of [schemaKind, levelKind]) {
    (await state.cache(kind)).addWatcher({ scope: { namespace: '' }, offer: touch });
  }
  signal.addEventListener('abort', () => wake(), { once: true });
  let hasDefaults = false;
  while (!signal.aborted) {
    if (!isDirty) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    isDirty = false;
    try {
      if (!hasDefaults) await ensureFlowDefaults(deps);
      hasDefaults = true;
      await writeStatuses(deps, schemaKind, levelKind);
    } catch (err) {
      log.error({ err: errorMessage(err) }, 'Could not tend flow control');
      clock.after(RETRY_MS, touch);
    }
  }
}

async function writeStatuses(
  { state, store, clock }: FlowSchemaStatusDeps,
  schemaKind: ResourceKind,
  levelKind: ResourceKind,
): Promise<void> {
  const levels = await state.cache(levelKind);
  const view = schemaKind.subresources.status;
  if (view?.type !== 'view') return;
  for (const { name, served } of (await state.cache(schemaKind)).slice('')) {
    const schema = parseObject(served.bytes) as unknown as FlowSchema;
    const level = schema.spec?.priorityLevelConfiguration.name ?? '';
    const status = danglingStatus(schema, levels.get(level) !== undefined, clock.now());
    if (!status) continue;
    const change = (current: KubeObject): KubeObject => ({ ...current, status }) as KubeObject;
    const update = { strategy: view.strategy, subresource: 'status', isPatch: true, change };
    await store
      .update(schemaKind, { namespace: '', name }, update, systemContext(clock.now()))
      .catch((err) => {
        if (!isNotFound(err) && !isConflict(err)) throw err;
      });
  }
}
