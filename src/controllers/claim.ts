import { isInvalid, isNotFound } from '../api/errors.ts';
import { matches, type Selector } from '../api/labels.ts';
import { controllerOf } from '../api/owner-references.ts';
import type { ResourceType } from '../api/resource-types.ts';
import type { StoredMeta } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { controllerReference } from './controller-reference.ts';
import type { PodOwner } from './pod-control.ts';

interface Claimable {
  readonly metadata: StoredMeta;
}

/** An object that claims others by a selector. */
export interface Claiming<O extends PodOwner> {
  readonly type: ResourceType<O>;
  readonly object: O;
  readonly selector: Selector;
}

/**
 * Which objects are the owner's: those that name it and match are kept, those that name it and match no more are
 * released, orphans that match are adopted. Objects of other owners are never touched (upstream's ControllerRefManager).
 */
export async function claim<T extends Claimable, O extends PodOwner>(
  client: Client,
  owner: Claiming<O>,
  objects: { type: ResourceType<T>; items: readonly T[] },
): Promise<T[]> {
  const mayAdopt = adoptionCheck(client, owner);
  const claimed: T[] = [];
  for (const item of objects.items) {
    const verdict = verdictOn(item, owner);
    if (verdict === 'keep') claimed.push(item);
    if (verdict === 'release') {
      await release(client, objects.type, item, owner.object.metadata.uid);
    }
    if (verdict === 'adopt' && (await mayAdopt())) {
      const adopted = await adopt(client, objects.type, item, owner.object);
      if (adopted) claimed.push(adopted);
    }
  }
  return claimed;
}

/** What is to be done with one object, as far as the caches know. Pure. */
function verdictOn(
  item: Claimable,
  { object, selector }: { object: PodOwner; selector: Selector },
): 'keep' | 'release' | 'adopt' | 'leave' {
  const { uid, deletionTimestamp } = object.metadata;
  const controller = controllerOf(item);
  if (controller && controller.uid !== uid) return 'leave';
  const wanted = matches(selector, item.metadata.labels);
  if (controller && wanted) return 'keep';
  if (deletionTimestamp) return 'leave';
  if (controller) return 'release';
  return wanted && !item.metadata.deletionTimestamp ? 'adopt' : 'leave';
}

/** Asks the server once, at the first orphan: a cache may not know yet that the owner is being deleted. */
function adoptionCheck<O extends PodOwner>(
  client: Client,
  { type, object }: { type: ResourceType<O>; object: O },
): () => Promise<boolean> {
  let answer: Promise<boolean> | undefined;
  const ask = async () => {
    const { namespace, name, uid } = object.metadata;
    const fresh = await client.get(type, { namespace, name });
    return fresh.metadata.uid === uid && !fresh.metadata.deletionTimestamp;
  };
  return () => {
    answer ??= ask();
    return answer;
  };
}

async function adopt<T extends Claimable>(
  client: Client,
  type: ResourceType<T>,
  item: T,
  owner: PodOwner,
): Promise<T | undefined> {
  const { namespace, name, uid } = item.metadata;
  // The UID makes the patch fail on another object of the same name.
  const body = { metadata: { uid, ownerReferences: [controllerReference(owner)] } };
  try {
    return await client.patch(type, { namespace, name }, { type: 'strategic', body });
  } catch (err) {
    if (isNotFound(err)) return undefined;
    throw err;
  }
}

async function release<T extends Claimable>(
  client: Client,
  type: ResourceType<T>,
  item: T,
  ownerUid: string,
): Promise<void> {
  const { namespace, name, uid } = item.metadata;
  const body = { metadata: { uid, ownerReferences: [{ $patch: 'delete', uid: ownerUid }] } };
  try {
    await client.patch(type, { namespace, name }, { type: 'strategic', body });
  } catch (err) {
    // Gone, or another object of that name, or no owners left to take away: nothing to release.
    if (!isNotFound(err) && !isInvalid(err)) throw err;
  }
}
