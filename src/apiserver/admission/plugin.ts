import { ApiError, qualifiedResource } from '../../api/errors.ts';
import type { Pod } from '../../api/types.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { State } from '../state.ts';

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
