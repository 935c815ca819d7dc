import type { Pod } from '../api/types.ts';
import { isObject } from '../util/json.ts';

const FIELDS: Readonly<Record<string, string>> = {
  secretName: 'secrets',
  secretRef: 'secrets',
  secretKeyRef: 'secrets',
  secret: 'secrets',
  imagePullSecrets: 'secrets',
  nodePublishSecretRef: 'secrets',
  configMap: 'configmaps',
  configMapRef: 'configmaps',
  configMapKeyRef: 'configmaps',
  claimName: 'persistentvolumeclaims',
  resourceClaimName: 'resourceclaims',
};

/** Resource and name of the secrets, config maps, claims and the service account anywhere in the Pod's spec. */
export function* referencesOf(pod: Pod): Generator<[string, string]> {
  if (!pod.spec) return;
  yield ['serviceaccounts', pod.spec.serviceAccountName || 'default'];
  for (const { name, ephemeral } of pod.spec.volumes ?? []) {
    // The claim that is made for the volume has a name that is known before it is there.
    if (ephemeral) yield ['persistentvolumeclaims', `${pod.metadata.name}-${name}`];
  }
  yield* referencesIn(pod.spec, undefined);
  // The claims that are made from templates, and for extended resources, are named in the status alone.
  yield* referencesIn(pod.status?.resourceClaimStatuses, undefined);
  yield* referencesIn(pod.status?.extendedResourceClaimStatus, undefined);
}

function* referencesIn(node: unknown, resource: string | undefined): Generator<[string, string]> {
  if (Array.isArray(node)) {
    for (const item of node) yield* referencesIn(item, resource);
  } else if (isObject(node)) {
    for (const [key, value] of Object.entries(node)) yield* referencesAt(key, value, resource);
  }
}

function* referencesAt(
  key: string,
  value: unknown,
  resource: string | undefined,
): Generator<[string, string]> {
  const of = FIELDS[key];
  if (typeof value !== 'string') yield* referencesIn(value, of);
  else if (of !== undefined) yield [of, value];
  else if (key === 'name' && resource !== undefined) yield [resource, value];
}
