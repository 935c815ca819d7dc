import { joinHostPort } from '../util/ip.ts';
import type { ClusterAccess } from './kubeconfig.ts';

/** Where a Pod finds its service account. */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The API server as seen from inside a Pod, as its service account. */
export function inClusterAccess(): ClusterAccess {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  if (!host || !port) throw new Error('Give --kubeconfig, or run in a Pod with a service account');
  return {
    server: `https://${joinHostPort(host, Number(port))}`,
    ca: { file: `${SERVICE_ACCOUNT}/ca.crt` },
    token: { file: `${SERVICE_ACCOUNT}/token` },
  };
}
