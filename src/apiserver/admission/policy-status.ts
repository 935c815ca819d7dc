import { isConflict, isNotFound } from '../../api/errors.ts';
import { VALIDATING_ADMISSION_POLICIES } from '../../api/system-resource-types.ts';
import type { KubeObject, ValidatingAdmissionPolicy } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import type { State } from '../state.ts';
import { type SystemObjectDeps, systemContext } from '../system-objects.ts';
import { type TypeCheckDeps, typeWarnings } from './dynamic/type-check.ts';
import { sharedObject } from './plugin.ts';

export type PolicyStatusDeps = SystemObjectDeps &
  Pick<TypeCheckDeps, 'schema'> & { readonly state: State; readonly log: Logger };

const RETRY_MS = 1000;

/**
 * Tells in the status of each validating policy what is wrong with the types of its expressions, whenever the policy has
 * changed (upstream's validatingadmissionpolicy-status-controller). It is here since here the structure of all kinds is known.
 */
export async function tendPolicyStatus(deps: PolicyStatusDeps, signal: AbortSignal): Promise<void> {
  const { group, version, resource } = VALIDATING_ADMISSION_POLICIES;
  const kind = deps.kinds.get(group, version, resource);
  if (!kind) throw new Error('The kind of validating policies is not declared');
  const cache = await deps.state.cache(kind);
  const dirty = new Set(cache.slice('').map(({ name }) => name));
  let wake = (): void => {};
  const touch = (name: string): void => {
    dirty.add(name);
    wake();
  };
  cache.addWatcher({ scope: { namespace: '' }, offer: ({ entry }) => touch(entry.name) });
  signal.addEventListener('abort', () => wake(), { once: true });
  while (!signal.aborted) {
    const [name] = dirty;
    if (name === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    dirty.delete(name);
    const entry = cache.get(name);
    if (!entry || (await judge(deps, sharedObject(entry) as ValidatingAdmissionPolicy))) continue;
    deps.clock.after(RETRY_MS, () => touch(name));
  }
}

/** False: it could not be told, and is to be tried again. */
async function judge(deps: PolicyStatusDeps, policy: ValidatingAdmissionPolicy): Promise<boolean> {
  const { metadata, spec = {}, status } = policy;
  const { generation = 0, name } = metadata;
  if (status?.observedGeneration === generation) return true;
  try {
    await write(deps, policy, typeWarnings(spec, deps));
    return true;
  } catch (err) {
    // Whoever was faster has made a new event of it.
    if (isNotFound(err) || isConflict(err)) return true;
    deps.log.error(
      { policy: name, err: errorMessage(err) },
      'Could not tell the types of a policy',
    );
    return false;
  }
}

async function write(
  { kinds, store, clock }: PolicyStatusDeps,
  { metadata: { name, generation }, status }: ValidatingAdmissionPolicy,
  expressionWarnings: readonly object[],
): Promise<void> {
  const { group, version, resource } = VALIDATING_ADMISSION_POLICIES;
  const kind = kinds.get(group, version, resource);
  const view = kind?.subresources.status;
  if (!kind || view?.type !== 'view') return;
  const typeChecking = expressionWarnings.length > 0 ? { expressionWarnings } : {};
  const next = { ...status, observedGeneration: generation, typeChecking };
  // What was judged is the policy as it was: of a newer one nothing is said.
  const change = (current: KubeObject): KubeObject =>
    current.metadata.generation === generation
      ? ({ ...current, status: next } as KubeObject)
      : current;
  const update = { strategy: view.strategy, subresource: 'status', isPatch: true, change };
  await store.update(kind, { namespace: '', name }, update, systemContext(clock.now()));
}
