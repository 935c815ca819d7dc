import { ApiError, qualifiedResource } from '../../api/errors.ts';
import { keyString, type ObjectKey, type ResourceType } from '../../api/resource-types.ts';
import type { KubeObject, Pod } from '../../api/types.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { CacheEntry } from '../cache-entry.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';

/** What admission plug-ins look things up with. */
export interface PluginDeps {
  readonly kinds: KindRegistry;
  readonly state: State;
  /** Late, since the store is made with the plug-ins. */
  readonly store: () => ResourceStore;
}

/** The 403 of a plug-in (admission.NewForbidden). */
export function forbiddenByAdmission(request: AdmissionRequest, why: string): ApiError {
  const { kind, name } = request;
  const subject = `${qualifiedResource(kind)} ${JSON.stringify(name)}`;
  return new ApiError('Forbidden', `${subject} is forbidden: ${why}`, {
    details: { name, ...(kind.group === '' ? {} : { group: kind.group }), kind: kind.resource },
  });
}

/** Whether a request is about this resource, in any version, and no sub-resource of it. */
export function isAbout(
  { kind, subresource }: AdmissionRequest,
  type: { group: string; resource: string },
): boolean {
  return subresource === '' && kind.group === type.group && kind.resource === type.resource;
}

/** The Pod of a request that creates one; undefined for every other request. */
export function podToCreate({
  operation,
  kind,
  subresource,
  object,
}: AdmissionRequest): Pod | undefined {
  if (operation !== 'CREATE' || subresource !== '') return undefined;
  if (kind.group !== '' || kind.resource !== 'pods') return undefined;
  return object as unknown as Pod;
}

/** A static Pod's image in the API: its kubelet has the real one. */
export function isMirrorPod({ metadata }: Pod): boolean {
  return metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;
}

const parsed = new WeakMap<CacheEntry, KubeObject>();

/** The object of a cache entry, parsed once for everybody: never to be changed. */
export function sharedObject(entry: CacheEntry): KubeObject {
  const known = parsed.get(entry);
  if (known) return known;
  const object = parseObject(entry.served.bytes);
  parsed.set(entry, object);
  return object;
}

/** All objects of a kind, or those of one namespace. Shared: never to be changed. */
export async function allOf<T>(
  { kinds, state }: Pick<PluginDeps, 'kinds' | 'state'>,
  type: ResourceType<T>,
  namespace = '',
): Promise<T[]> {
  const kind = kinds.get(type.group, type.version, type.resource);
  if (!kind) return [];
  const cache = await state.cache(kind);
  return cache.slice(namespace).map((entry) => sharedObject(entry) as T);
}

/** One object, if it is there, be it that another server of the store has just made it. Shared: never to be changed. */
export async function lookUp<T>(
  { kinds, state }: Pick<PluginDeps, 'kinds' | 'state'>,
  type: ResourceType<T>,
  key: ObjectKey,
): Promise<T | undefined> {
  const kind = kinds.get(type.group, type.version, type.resource);
  if (!kind) return undefined;
  const cache = await state.cache(kind);
  let entry = cache.get(keyString(key));
  if (!entry && state.storage.newest) {
    await state.fresh();
    entry = cache.get(keyString(key));
  }
  return entry && (sharedObject(entry) as T);
}
