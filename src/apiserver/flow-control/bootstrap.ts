import { isAlreadyExists, isConflict, isNotFound } from '../../api/errors.ts';
import { FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS } from '../../api/system-resource-types.ts';
import type { FlowSchema, KubeObject } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import { timestamp } from '../before-write.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { type SystemObjectDeps, systemContext } from '../system-objects.ts';
import { AUTO_UPDATE, DEFAULT_FLOW_SCHEMAS, DEFAULT_PRIORITY_LEVELS } from './defaults.ts';

/** Creates what is missing of upstream's configuration, and brings up to date what its users left to the server. */
export async function ensureFlowDefaults(deps: SystemObjectDeps): Promise<void> {
  const wanted = [
    [PRIORITY_LEVEL_CONFIGURATIONS, DEFAULT_PRIORITY_LEVELS],
    [FLOW_SCHEMAS, DEFAULT_FLOW_SCHEMAS],
  ] as const;
  for (const [{ group, version, resource }, objects] of wanted) {
    const kind = deps.kinds.get(group, version, resource);
    if (kind) await Promise.all(objects.map((object) => ensureOne(deps, kind, object)));
  }
}

async function ensureOne(
  { store, clock }: SystemObjectDeps,
  kind: ResourceKind,
  wanted: KubeObject,
): Promise<void> {
  const context = systemContext(clock.now());
  const { name = '' } = wanted.metadata;
  const object = structuredClone(wanted);
  kind.strategy.default?.(object);
  try {
    const known = await store.find(kind, { namespace: '', name });
    if (!known) {
      await store.create(kind, object, context);
      return;
    }
    const isOurs = known.metadata.annotations?.[AUTO_UPDATE] === 'true';
    if (!isOurs || jsonEqual(known.spec, object.spec)) return;
    const change = (current: KubeObject): KubeObject => ({ ...current, spec: object.spec });
    const update = { strategy: kind.strategy, subresource: '', isPatch: true, change };
    await store.update(kind, { namespace: '', name }, update, context);
  } catch (err) {
    // Another server of the cluster was sooner.
    if (!isAlreadyExists(err) && !isConflict(err) && !isNotFound(err)) throw err;
  }
}

/** The status of a schema: whether its priority level exists. Undefined: it says so already. */
export function danglingStatus(
  { spec, status }: FlowSchema,
  levelExists: boolean,
  now: number,
): FlowSchema['status'] | undefined {
  const level = JSON.stringify(spec?.priorityLevelConfiguration.name ?? '');
  const next = {
    type: 'Dangling',
    status: levelExists ? 'False' : 'True',
    reason: levelExists ? 'Found' : 'NotFound',
    message: `This FlowSchema references the PriorityLevelConfiguration object named ${level} and ${
      levelExists ? 'it exists' : 'there is no such object'
    }`,
  };
  const before = status?.conditions?.find(({ type }) => type === 'Dangling');
  if (before?.status === next.status && before.message === next.message) return undefined;
  const others = (status?.conditions ?? []).filter(({ type }) => type !== 'Dangling');
  return { ...status, conditions: [...others, { ...next, lastTransitionTime: timestamp(now) }] };
}
