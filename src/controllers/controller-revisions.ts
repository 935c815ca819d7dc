import { isAlreadyExists, isNotFound } from '../api/errors.ts';
import { CONTROLLER_REVISIONS } from '../api/resource-types.ts';
import type { ControllerRevision, PodTemplateSpec } from '../api/types.ts';
import type { Client, Informer } from '../client/client.ts';
import { inexact } from '../util/exact-json.ts';
import { jsonEqual } from '../util/json.ts';
import { type Claiming, claim } from './claim.ts';
import { controllerReference } from './controller-reference.ts';
import { safeHash } from './hash.ts';
import type { Overlay } from './overlay.ts';
import type { PodOwner } from './pod-control.ts';

interface Deps {
  readonly client: Client;
  readonly revisions: Informer<ControllerRevision>;
  readonly overlay: Overlay<ControllerRevision>;
}

/** The history of an object's Pod template (apps/v1 ControllerRevision). */
export class RevisionHistory {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
    deps.revisions.addIndex('controller', (revision) => [
      ownerUid(revision) || orphansOf(revision.metadata),
    ]);
  }

  /** Oldest first. Those that an earlier object of the same selector left behind are adopted. */
  async of<O extends PodOwner>(owner: Claiming<O>): Promise<ControllerRevision[]> {
    const { uid } = owner.object.metadata;
    const { client, revisions, overlay } = this.#deps;
    const cached = [
      ...revisions.byIndex('controller', uid),
      ...revisions.byIndex('controller', orphansOf(owner.object.metadata)),
    ];
    const items = overlay.over(cached, (revision) => ownerUid(revision) === uid);
    const claimed = await claim(client, owner, { type: CONTROLLER_REVISIONS, items });
    return claimed.sort(
      (a, b) =>
        inexact(a.revision) - inexact(b.revision) || (a.metadata.name < b.metadata.name ? -1 : 1),
    );
  }

  /** The revision of this template: the newest of `known`, an older one brought to the top, or a new one. */
  async ensure(
    owner: PodOwner,
    template: PodTemplateSpec,
    known: readonly ControllerRevision[],
    collisionCount: number,
  ): Promise<{ revision: ControllerRevision; collisionCount: number }> {
    const data = { spec: { template: { ...template, $patch: 'replace' } } };
    const newest = known.at(-1);
    const equal = known.findLast((revision) => jsonEqual(revision.data, data));
    if (equal && equal === newest) return { revision: equal, collisionCount };
    const next = inexact(newest?.revision ?? 0) + 1;
    if (equal) {
      const { client, overlay } = this.#deps;
      const raised = await client.update(CONTROLLER_REVISIONS, { ...equal, revision: next });
      overlay.wrote(raised);
      return { revision: raised, collisionCount };
    }
    return this.#create(owner, { data, template, next }, collisionCount);
  }

  /** Deletes the oldest revisions that are not in use, beyond the limit. */
  async truncate(
    known: readonly ControllerRevision[],
    inUse: ReadonlySet<string>,
    limit: number,
  ): Promise<void> {
    const idle = known.filter(({ metadata }) => !inUse.has(metadata.name));
    for (const revision of idle.slice(0, Math.max(0, idle.length - limit))) {
      const { namespace, name } = revision.metadata;
      try {
        await this.#deps.client.delete(CONTROLLER_REVISIONS, { namespace, name });
        this.#deps.overlay.deleted(revision);
      } catch (err) {
        if (!isNotFound(err)) throw err;
      }
    }
  }

  async #create(
    owner: PodOwner,
    what: { data: object; template: PodTemplateSpec; next: number },
    collisionCount: number,
  ): Promise<{ revision: ControllerRevision; collisionCount: number }> {
    const { client, overlay } = this.#deps;
    const { namespace, name: ownerName } = owner.metadata;
    for (let collisions = collisionCount; ; collisions++) {
      const hash = safeHash(what.data, collisions);
      const name = `${ownerName}-${hash}`;
      const labels = { ...what.template.metadata?.labels, 'controller-revision-hash': hash };
      try {
        const revision = await client.create(CONTROLLER_REVISIONS, {
          apiVersion: 'apps/v1',
          kind: 'ControllerRevision',
          metadata: { name, namespace, labels, ownerReferences: [controllerReference(owner)] },
          data: what.data,
          revision: what.next,
        } as never);
        overlay.wrote(revision);
        return { revision, collisionCount: collisions };
      } catch (err) {
        if (!isAlreadyExists(err)) throw err;
        const existing = await client.get(CONTROLLER_REVISIONS, { namespace, name });
        const same =
          ownerUid(existing) === owner.metadata.uid && jsonEqual(existing.data, what.data);
        if (same) return { revision: existing, collisionCount: collisions };
      }
    }
  }
}

/** The template that a revision holds. */
export function templateOf(revision: ControllerRevision): PodTemplateSpec {
  const { data } = revision as { data?: { spec?: { template?: PodTemplateSpec } } };
  const { $patch: _, ...template } = (data?.spec?.template ?? {}) as PodTemplateSpec & {
    $patch?: string;
  };
  return template;
}

function orphansOf({ namespace }: { namespace: string }): string {
  return `/${namespace}`;
}

function ownerUid({ metadata }: ControllerRevision): string {
  return metadata.ownerReferences?.find((reference) => reference.controller)?.uid ?? '';
}
