import type { Container, Pod, PodSpec, ServiceAccount, Volume } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { generateName } from '../before-write.ts';
import { forbiddenByAdmission, isMirrorPod, type PluginDeps, podToCreate } from './plugin.ts';

const DEFAULT_ACCOUNT = 'default';
const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const VOLUME_PREFIX = 'kube-api-access-';
// An hour, and a little that tells the token's readers apart from those who asked for an hour.
const TOKEN_SECONDS = 60 * 60 + 7;
const FILE_MODE = 0o644;

/** Every Pod runs as a service account, with its token, the cluster's authority and the namespace in a volume. */
export function serviceAccount(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    async mutate(request) {
      const pod = podToCreate(request);
      if (!pod?.spec) return;
      if (isMirrorPod(pod)) {
        refuseMirror(request, pod.spec);
        return;
      }
      const { spec } = pod;
      spec.serviceAccountName ||= DEFAULT_ACCOUNT;
      spec.serviceAccount = spec.serviceAccountName;
      const account = await lookUp(deps, request, spec.serviceAccountName);
      const { imagePullSecrets = [] } = account;
      if (!spec.imagePullSecrets?.length && imagePullSecrets.length > 0) {
        spec.imagePullSecrets = structuredClone(imagePullSecrets);
      }
      if (mountsToken(account, pod)) mountToken(spec);
    },
  };
}

async function lookUp(
  { store, kinds }: PluginDeps,
  request: AdmissionRequest,
  name: string,
): Promise<ServiceAccount> {
  const { namespace } = request;
  const kind = kinds.get('', 'v1', 'serviceaccounts');
  const found = kind && (await store().find(kind, { namespace, name }));
  if (found) return found as unknown as ServiceAccount;
  throw forbiddenByAdmission(
    request,
    `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
  );
}

function refuseMirror(request: AdmissionRequest, spec: PodSpec): void {
  if (spec.serviceAccountName) {
    throw forbiddenByAdmission(request, 'a mirror pod may not reference service accounts');
  }
  const projects = (spec.volumes ?? []).some((v) =>
    v.projected?.sources?.some((source) => source.serviceAccountToken),
  );
  if (projects) {
    throw forbiddenByAdmission(
      request,
      'a mirror pod may not use ServiceAccountToken volume projections',
    );
  }
}

function mountsToken(account: ServiceAccount, { spec }: Pod): boolean {
  return spec?.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
}

function mountToken(spec: PodSpec): void {
  const name = existingVolume(spec) ?? generateName(VOLUME_PREFIX);
  let used = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (mountedAt(container)) continue;
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name, readOnly: true, mountPath: MOUNT_PATH },
    ];
    used = true;
  }
  if (!used || existingVolume(spec)) return;
  spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

function existingVolume({ volumes = [] }: PodSpec): string | undefined {
  return volumes.find(({ name }) => name.startsWith(VOLUME_PREFIX))?.name;
}

function mountedAt({ volumeMounts = [] }: Container): boolean {
  return volumeMounts.some(({ mountPath }) => mountPath === MOUNT_PATH);
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: FILE_MODE,
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [
              {
                path: 'namespace',
                fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' },
              },
            ],
          },
        },
      ],
    },
  };
}
