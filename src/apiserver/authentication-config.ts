import type { KubeObject } from '../api/types.ts';
import { jsonEqual } from '../util/json.ts';
import type { RequestHeaderOptions } from './options.ts';
import { type SystemObjectDeps, systemContext } from './system-objects.ts';

interface TrustOptions {
  readonly clientAuthority?: string | undefined;
  readonly requestHeader?: RequestHeaderOptions | undefined;
}

const KEY = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };

/** Tells aggregated API servers whose certificates and whose word about users to believe (upstream's clusterauthenticationtrust). */
export async function ensureAuthenticationConfig(
  { kinds, store, clock }: SystemObjectDeps,
  options: TrustOptions,
): Promise<void> {
  const kind = kinds.get('', 'v1', 'configmaps');
  const data = authenticationConfig(options);
  if (!kind || Object.keys(data).length === 0) return;
  const context = systemContext(clock.now());
  const known = await store.find(kind, KEY);
  if (!known) {
    const metadata = { ...KEY };
    await store.create(kind, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, context);
    return;
  }
  if (jsonEqual(known.data, data)) return;
  const change = (current: KubeObject): KubeObject => ({ ...current, data });
  const update = { strategy: kind.strategy, subresource: '', isPatch: true, change };
  await store.update(kind, KEY, update, context);
}

function authenticationConfig({
  clientAuthority,
  requestHeader,
}: TrustOptions): Record<string, string> {
  return {
    ...(clientAuthority ? { 'client-ca-file': clientAuthority } : {}),
    ...(requestHeader
      ? {
          'requestheader-client-ca-file': requestHeader.clientAuthority,
          'requestheader-allowed-names': JSON.stringify(requestHeader.allowedNames),
          'requestheader-username-headers': '["X-Remote-User"]',
          'requestheader-uid-headers': '["X-Remote-Uid"]',
          'requestheader-group-headers': '["X-Remote-Group"]',
          'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
        }
      : {}),
  };
}
