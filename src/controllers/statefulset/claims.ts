import { isAlreadyExists } from '../../api/errors.ts';
import { PERSISTENT_VOLUME_CLAIMS } from '../../api/resource-types.ts';
import type { OwnerReference, PersistentVolumeClaim, Pod, StatefulSet } from '../../api/types.ts';
import type { Client, EventRecorder, Informer } from '../../client/client.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import { controllerReference } from '../controller-reference.ts';
import { unlessGone } from '../unless-gone.ts';
import { claimName, memberClaims, memberName, ordinalOf, startOrdinal } from './members.ts';

interface Deps {
  readonly client: Client;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly events: EventRecorder;
}

/**
 * The owners that a member's claim should have (KEP-1847): the set where claims go with it, the Pod where they go with a
 * Pod that is scaled away. Undefined: it has them, or another controller has the claim. Pure.
 */
export function claimOwners(
  set: StatefulSet,
  pod: Pod,
  claim: PersistentVolumeClaim,
): OwnerReference[] | undefined {
  const before = claim.metadata.ownerReferences ?? [];
  const isOurs = ({ kind, name }: OwnerReference) =>
    (kind === 'StatefulSet' && name === set.metadata.name) ||
    (kind === 'Pod' && name === pod.metadata.name);
  const others = before.filter((reference) => !isOurs(reference));
  if (others.some(({ controller }) => controller)) return undefined;
  const { whenDeleted, whenScaled } = set.spec?.persistentVolumeClaimRetentionPolicy ?? {};
  const surplus = isSurplus(set, pod);
  const owners = [...others];
  if (whenScaled === 'Delete' && surplus) {
    owners.push(controllerReference({ ...pod, apiVersion: 'v1', kind: 'Pod' }));
  } else if (whenDeleted === 'Delete') {
    owners.push(controllerReference({ ...set, apiVersion: 'apps/v1', kind: 'StatefulSet' }));
  }
  return jsonEqual(before, owners) ? undefined : owners;
}

function isSurplus(set: StatefulSet, pod: Pod): boolean {
  const index = (ordinalOf(set, pod) ?? 0) - startOrdinal(set);
  return index < 0 || index >= (set.spec?.replicas ?? 1);
}

/** It goes with an earlier Pod of that name: its successor must wait for a new one. Pure. */
function isStale(claim: PersistentVolumeClaim, podName: string, podUid?: string): boolean {
  return (claim.metadata.ownerReferences ?? []).some(
    ({ kind, name, uid }) => kind === 'Pod' && name === podName && uid !== podUid,
  );
}

/** Makes the volume claims of a StatefulSet's members, and says whom they go with. */
export class MemberClaims {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** The claims of one ordinal, before its Pod is made, and again while it waits for a volume. */
  async ensure(set: StatefulSet, ordinal: number, podUid?: string): Promise<void> {
    const { client, claims, events } = this.#deps;
    const podName = memberName(set, ordinal);
    for (const draft of memberClaims(set, ordinal)) {
      const { namespace = '', name = '' } = draft.metadata;
      const known = claims.get({ namespace, name });
      if (known?.metadata.deletionTimestamp) throw new Error(`pvc ${name} is being deleted`);
      if (known && isStale(known, podName, podUid)) {
        throw new Error(`pvc ${name} still belongs to an earlier pod ${podName}`);
      }
      if (known) continue;
      const what = `create Claim ${name} Pod ${podName} in StatefulSet ${set.metadata.name}`;
      try {
        await client.create(PERSISTENT_VOLUME_CLAIMS, draft);
        events.event(set, 'Normal', 'SuccessfulCreate', `${what} success`);
      } catch (err) {
        if (isAlreadyExists(err)) continue;
        events.event(set, 'Warning', 'FailedCreate', `${what} failed error: ${errorMessage(err)}`);
        throw err;
      }
    }
  }

  /** Makes the owners of a Pod's claims what the retention policy says now. */
  async settleOwners(set: StatefulSet, pod: Pod): Promise<void> {
    const { client, claims } = this.#deps;
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined) return;
    for (const template of set.spec?.volumeClaimTemplates ?? []) {
      const name = claimName(set, template.metadata?.name ?? '', ordinal);
      const claim = claims.get({ namespace: set.metadata.namespace, name });
      const ownerReferences = claim && claimOwners(set, pod, claim);
      if (!claim || !ownerReferences) continue;
      const metadata = { ...claim.metadata, ownerReferences };
      await unlessGone(client.update(PERSISTENT_VOLUME_CLAIMS, { ...claim, metadata }));
    }
  }
}
