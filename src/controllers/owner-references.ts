import type { ObjectMeta, OwnerReference } from '../api/types.ts';

interface Owned {
  readonly metadata: ObjectMeta;
}

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string };
}

/** The one owner that manages the object, if there is one (meta/v1 GetControllerOf). */
export function controllerOf(object: Owned): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/** True when `owner` manages the object. */
export function isControlledBy(object: Owned, owner: { metadata: { uid: string } }): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** The reference of a managing owner; its foreground deletion waits for the object (meta/v1 NewControllerRef). */
export function controllerReference(owner: Owner): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}
