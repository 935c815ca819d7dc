import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isAlreadyExists, isForbidden } from '../api/errors.ts';
import { CLUSTER_ROLE_BINDINGS } from '../api/system-resource-types.ts';
import type { ClusterRoleBinding, Draft } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { type ClusterAccess, loadKubeconfig } from '../client/kubeconfig.ts';
import { RestClient } from '../client/rest-client.ts';
import type { Clock } from '../util/clock.ts';
import { ADMINISTRATORS, clientIdentity, issue, readPair } from './certificates.ts';
import { localServer } from './components.ts';
import type { Paths } from './paths.ts';
import { retry, waitForApi } from './readiness.ts';
import type { ClusterSettings } from './settings.ts';

const GROUP = 'rbac.authorization.k8s.io';
const BINDING: Draft<ClusterRoleBinding> = {
  apiVersion: `${GROUP}/v1`,
  kind: 'ClusterRoleBinding',
  metadata: { name: ADMINISTRATORS },
  roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: 'cluster-admin' },
  subjects: [{ apiGroup: GROUP, kind: 'Group', name: ADMINISTRATORS }],
};

/** Gives the administrators of the cluster their rights, where they have none yet. Resolves when it is so. */
export async function bindAdministrators(
  paths: Paths,
  settings: ClusterSettings,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const admin = new RestClient(await loadKubeconfig(paths.kubeconfig('admin')));
  try {
    await waitForApi(admin, clock, signal);
    await retry(clock, signal, async () => {
      if (!(await isBound(admin))) await bind(paths, settings, clock.now());
    });
  } finally {
    admin.close();
  }
}

/** Whoever is refused to look has no rights yet. */
async function isBound(admin: Client): Promise<boolean> {
  try {
    await admin.get(CLUSTER_ROLE_BINDINGS, { namespace: '', name: ADMINISTRATORS });
    return true;
  } catch (err) {
    if (isForbidden(err)) return false;
    throw err;
  }
}

async function bind(paths: Paths, settings: ClusterSettings, now: number): Promise<void> {
  const client = new RestClient(await accessAboveAll(paths, settings, now));
  try {
    await client.create(CLUSTER_ROLE_BINDINGS, BINDING);
  } catch (err) {
    if (!isAlreadyExists(err)) throw err;
  } finally {
    client.close();
  }
}

/** As one of the group that needs no binding. On machines without its kubeconfig the certificate is only in memory. */
async function accessAboveAll(
  paths: Paths,
  settings: ClusterSettings,
  now: number,
): Promise<ClusterAccess> {
  const file = paths.kubeconfig('super-admin');
  if (existsSync(file)) return loadKubeconfig(file);
  const authority = readPair(join(paths.pki, 'ca'));
  const identity = clientIdentity('super-admin', settings.nodeName);
  const { certificate, key } = await issue(authority, identity, now);
  return {
    server: localServer(settings),
    ca: { data: authority.certificate },
    certificate: { data: certificate },
    key: { data: key },
  };
}
