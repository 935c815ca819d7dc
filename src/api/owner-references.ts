import { apiVersionOf } from './resource-types.ts';
import type { ObjectMeta, OwnerReference } from './types.ts';

interface Owner {
  readonly metadata: { readonly name?: string; readonly uid?: string };
}

/** A reference that makes `owner` the controller of a dependent, and holds the owner back in foreground deletion. */
export function controllerReference(
  owner: Owner,
  type: { group: string; version: string; kind: string },
): OwnerReference {
  return { ...ownerReference(owner, type), controller: true, blockOwnerDeletion: true };
}

export function ownerReference(
  owner: Owner,
  type: { group: string; version: string; kind: string },
): OwnerReference {
  return {
    apiVersion: apiVersionOf(type),
    kind: type.kind,
    name: owner.metadata.name ?? '',
    uid: owner.metadata.uid ?? '',
  };
}

/** The one owner that manages the object, if any. */
export function controllerOf(object: { metadata: ObjectMeta }): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((ref) => ref.controller);
}

export function isControlledBy(object: { metadata: ObjectMeta }, owner: Owner): boolean {
  const controller = controllerOf(object);
  return controller !== undefined && controller.uid === owner.metadata.uid;
}
