import { alreadyExists, isAlreadyExists } from '../../api/errors.ts';
import { isControlledBy } from '../../api/owner-references.ts';
import { REPLICA_SETS } from '../../api/resource-types.ts';
import type { Deployment, Draft, PodTemplateSpec, ReplicaSet } from '../../api/types.ts';
import type { Client, EventRecorder } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import { controllerReference } from '../controller-reference.ts';
import { safeHash } from '../hash.ts';
import type { Overlay } from '../overlay.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import type { StatusWriter } from '../status-writer.ts';
import { byAge, sizeOf } from './bounds.ts';
import { newReplicaSetAnnotations, nextRevision, REVISION, sizeAnnotations } from './revisions.ts';
import { newReplicaSetSize } from './rolling.ts';
import { type Condition, condition, hasDeadline, withCondition } from './status.ts';

const HASH_LABEL = 'pod-template-hash';

interface Deps {
  readonly client: Client;
  readonly statuses: StatusWriter<Deployment>;
  /** Its own ReplicaSets are known at once: two new ones would be too many Pods. */
  readonly written: Overlay<ReplicaSet>;
  readonly events: EventRecorder;
  readonly clock: Clock;
}

/** The ReplicaSet whose template is the Deployment's; the oldest, if several. Pure. */
export function findNewest(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
): ReplicaSet | undefined {
  const wanted = withoutHash(deployment.spec?.template);
  return sets.toSorted(byAge).find((rs) => jsonEqual(withoutHash(rs.spec?.template), wanted));
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  if (!template) return undefined;
  const { [HASH_LABEL]: _hash, ...labels } = template.metadata?.labels ?? {};
  const metadata = { ...template.metadata, labels, creationTimestamp: undefined };
  return { ...template, metadata };
}

/** The ReplicaSet that a Deployment's template asks for. Pure. */
export function replicaSetFor(
  deployment: Deployment,
  old: readonly ReplicaSet[],
): Draft<ReplicaSet> {
  const { spec, metadata, status } = deployment;
  const hash = safeHash(withoutHash(spec?.template), status?.collisionCount);
  const template = structuredClone(spec?.template ?? {});
  template.metadata = {
    ...template.metadata,
    labels: { ...template.metadata?.labels, [HASH_LABEL]: hash },
  };
  const selector = structuredClone(spec?.selector ?? {});
  selector.matchLabels = { ...selector.matchLabels, [HASH_LABEL]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace,
      labels: { ...template.metadata.labels },
      annotations: newReplicaSetAnnotations(deployment, undefined, nextRevision(old)),
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: newReplicaSetSize(deployment, { old, newest: undefined }, 0),
      ...(spec?.minReadySeconds ? { minReadySeconds: spec.minReadySeconds } : {}),
      selector,
      template,
    },
  };
}

/** Writes a Deployment's ReplicaSets, and what that says about the Deployment. */
export class ReplicaSets {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Brings annotations of the newest ReplicaSet, and the Deployment's revision, up to date. */
  async refresh(
    deployment: Deployment,
    newest: ReplicaSet,
    old: readonly ReplicaSet[],
  ): Promise<{ deployment: Deployment; newest: ReplicaSet; changed: boolean }> {
    const current = newest.metadata.annotations ?? {};
    const annotations = newReplicaSetAnnotations(deployment, current, nextRevision(old));
    const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
    const same =
      jsonEqual(current, annotations) && (newest.spec?.minReadySeconds ?? 0) === minReadySeconds;
    if (!same && newest.spec) {
      const metadata = { ...newest.metadata, annotations };
      const spec = { ...newest.spec, minReadySeconds };
      const updated = await this.#update({ ...newest, metadata, spec });
      return { deployment, newest: updated, changed: true };
    }
    const revision = annotations[REVISION] ?? '';
    const told = deployment.status?.conditions?.some((c) => c.type === 'Progressing') ?? false;
    const text = `Found new replica set "${newest.metadata.name}"`;
    const found = condition('Progressing', 'True', 'FoundNewReplicaSet', text);
    const note = hasDeadline(deployment) && !told ? found : undefined;
    const after = await this.#tell(deployment, { revision, note });
    return { deployment: after, newest, changed: false };
  }

  /** Creates the ReplicaSet of the current template. Undefined: the namespace is going away. */
  async create(
    deployment: Deployment,
    old: readonly ReplicaSet[],
  ): Promise<{ deployment: Deployment; newest: ReplicaSet } | undefined> {
    const draft = replicaSetFor(deployment, old);
    let created: ReplicaSet;
    let isNew = true;
    try {
      created = await this.#deps.client.create(REPLICA_SETS, draft);
      this.#deps.written.wrote(created);
    } catch (err) {
      if (isNamespaceTerminating(err)) return undefined;
      if (!isAlreadyExists(err)) {
        await this.#tellFailure(deployment, draft, err);
        throw err;
      }
      created = await this.#resolveCollision(deployment, draft);
      isNew = false;
    }
    const { name } = created.metadata;
    const size = sizeOf(created);
    if (isNew && size > 0) this.#tellScaled(deployment, created, { from: 0, to: size });
    const text = `Created new replica set "${name}"`;
    const made = condition('Progressing', 'True', 'NewReplicaSetCreated', text);
    const note = isNew && hasDeadline(deployment) ? made : undefined;
    const revision = created.metadata.annotations?.[REVISION] ?? '';
    return { deployment: await this.#tell(deployment, { revision, note }), newest: created };
  }

  /** Scales one ReplicaSet. Answers whether its size changed. */
  async scale(deployment: Deployment, rs: ReplicaSet, replicas: number): Promise<boolean> {
    const annotations = { ...rs.metadata.annotations, ...sizeAnnotations(deployment) };
    const resize = sizeOf(rs) !== replicas;
    if ((!resize && jsonEqual(annotations, rs.metadata.annotations)) || !rs.spec) return false;
    const metadata = { ...rs.metadata, annotations };
    const spec = { ...rs.spec, replicas };
    await this.#update({ ...rs, metadata, spec });
    if (resize) this.#tellScaled(deployment, rs, { from: sizeOf(rs), to: replicas });
    return resize;
  }

  async #update(rs: ReplicaSet): Promise<ReplicaSet> {
    const updated = await this.#deps.client.update(REPLICA_SETS, rs);
    this.#deps.written.wrote(updated);
    return updated;
  }

  #tellScaled(deployment: Deployment, rs: ReplicaSet, size: { from: number; to: number }): void {
    const direction = size.from < size.to ? 'up' : 'down';
    const what = `Scaled ${direction} replica set ${rs.metadata.name}`;
    const message = `${what} from ${size.from} to ${size.to}`;
    this.#deps.events.event(deployment, 'Normal', 'ScalingReplicaSet', message);
  }

  /** Writes the revision annotation and a condition, if either is news. */
  async #tell(
    deployment: Deployment,
    { revision, note }: { revision: string; note: Condition | undefined },
  ): Promise<Deployment> {
    const { statuses, clock } = this.#deps;
    const known = deployment.metadata.annotations?.[REVISION];
    if (known === revision && !note) return deployment;
    const annotations = { ...deployment.metadata.annotations, [REVISION]: revision };
    const metadata = { ...deployment.metadata, annotations };
    const before = deployment.status?.conditions ?? [];
    const conditions = note ? withCondition(before, note, clock.now()) : before;
    const status = { ...deployment.status, conditions };
    // The status sub-resource takes annotations too: one write tells both.
    return statuses.put({ ...deployment, metadata, status });
  }

  async #tellFailure(
    deployment: Deployment,
    draft: Draft<ReplicaSet>,
    err: unknown,
  ): Promise<void> {
    const text = `Failed to create new replica set "${draft.metadata.name}": ${errorMessage(err)}`;
    const revision = deployment.metadata.annotations?.[REVISION] ?? '';
    if (hasDeadline(deployment) && revision !== '') {
      const note = condition('Progressing', 'False', 'ReplicaSetCreateError', text);
      await this.#tell(deployment, { revision, note });
    }
    this.#deps.events.event(deployment, 'Warning', 'ReplicaSetCreateError', text);
  }

  /** The name is taken: by our own ReplicaSet that the cache does not show yet, or by another one, then the hash must change. */
  async #resolveCollision(deployment: Deployment, draft: Draft<ReplicaSet>): Promise<ReplicaSet> {
    const { client } = this.#deps;
    const { namespace, name } = { namespace: '', name: '', ...draft.metadata };
    const existing = await client.get(REPLICA_SETS, { namespace, name });
    const equal = jsonEqual(
      withoutHash(existing.spec?.template),
      withoutHash(draft.spec?.template),
    );
    if (isControlledBy(existing, deployment) && equal) return existing;
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    await this.#deps.statuses.write(deployment, { ...deployment.status, collisionCount });
    throw alreadyExists(REPLICA_SETS, name); // again, with the next hash
  }
}
