import {
  CLUSTER_INFO,
  JWS_PREFIX,
  kubeconfigIn,
  parseBootstrapToken,
} from '../api/bootstrap-tokens.ts';
import { ApiError } from '../api/errors.ts';
import { CONFIG_MAPS, SECRETS } from '../api/resource-types.ts';
import type { ConfigMap } from '../api/types.ts';
import { parseYaml } from '../api/yaml.ts';
import { RestClient } from '../client/rest-client.ts';
import { verifyDetached } from '../pki/detached-jws.ts';
import { errorMessage } from '../util/errors.ts';
import { authorityHash } from './bootstrap-tokens.ts';
import { assertClocksAgree } from './join-checks.ts';
import { SETTINGS_OBJECT, type SharedSettings } from './shared-settings.ts';

/** What a machine learns about a cluster before it joins. */
export interface DiscoveredCluster {
  /** `https://HOST:PORT`, as the operator gave it. */
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly settings: SharedSettings;
  /** Of the ServiceAccount under which the node's proxy works. */
  readonly proxyToken: string;
}

export interface JoinRequest {
  readonly server: string;
  readonly token: string;
  /** `sha256:HEX` of the authority's public key, one of which must fit. Undefined: the token's signature is enough. */
  readonly caCertHashes: readonly string[] | undefined;
}

/**
 * Finds a cluster by a token: its information is fetched from a server that is not known yet, and believed because the
 * token's secret has signed it and its authority has the given hash. Then asked again as a member. kubeadm's way:
 * https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/#discovery-cluster-info
 */
export async function discover(request: JoinRequest): Promise<DiscoveredCluster> {
  const { server } = request;
  await asked(request, () => assertClocksAgree(server));
  const ca = await trustedAuthority(request);
  const member = new RestClient({ server, ca: { data: ca }, token: { data: request.token } });
  try {
    const config = await asked(request, () => member.get(CONFIG_MAPS, SETTINGS_OBJECT));
    const secret = await asked(request, () =>
      member.get(SECRETS, { namespace: 'kube-system', name: 'kube-proxy-token' }),
    );
    const proxyToken = Buffer.from(secret.data?.token ?? '', 'base64').toString('utf8');
    const settings = JSON.parse(config.data?.['cluster.json'] ?? '{}') as SharedSettings;
    return { server, ca, settings, proxyToken };
  } finally {
    member.close();
  }
}

async function trustedAuthority(request: JoinRequest): Promise<string> {
  const { server, caCertHashes } = request;
  const token = parseBootstrapToken(request.token);
  if (token === undefined) {
    throw new Error('The token must have the form abcdef.0123456789abcdef');
  }
  const stranger = new RestClient({ server, insecureSkipTlsVerify: true });
  try {
    const info = await asked(request, () => asStranger(stranger));
    const text = kubeconfigIn(info);
    const signature = info.data?.[JWS_PREFIX + token.id];
    if (signature === undefined) {
      throw new Error(
        `The cluster at ${server} does not know the token ${token.id}, or it has expired; make another with: k8ts token create --print-join-command`,
      );
    }
    if (!verifyDetached(text, signature, token)) {
      throw new Error(
        `The cluster information of ${server} is not signed with this token; check the part behind the dot`,
      );
    }
    const ca = await authorityIn(text);
    if (caCertHashes !== undefined && !caCertHashes.includes(authorityHash(ca))) {
      throw new Error(
        `The authority of ${server} has the hash ${authorityHash(ca)}, not the one given; if you are sure of the machine, pass --ca-cert-hash with this one`,
      );
    }
    return ca;
  } finally {
    stranger.close();
  }
}

/** What is told to everybody, unless the server speaks with nobody that it does not know. */
async function asStranger(stranger: RestClient): Promise<ConfigMap> {
  try {
    return await stranger.get(CONFIG_MAPS, CLUSTER_INFO);
  } catch (err) {
    if (!(err instanceof ApiError && err.code === 401)) throw err;
    throw new Refusal(
      'The API server answers nobody whom it does not know (--anonymous-auth=false), and a new machine is such a one: let it answer while machines join',
      { cause: err },
    );
  }
}

/** A failure that says itself what to do. */
class Refusal extends Error {}

/** The authorities that a kubeconfig of cluster information names. */
export async function authorityIn(kubeconfig: string): Promise<string> {
  const config = (await parseYaml(kubeconfig)) as {
    clusters?: { cluster?: Record<string, string> }[];
  };
  const data = config.clusters?.[0]?.cluster?.['certificate-authority-data'] ?? '';
  return Buffer.from(data, 'base64').toString('utf8');
}

/** Says what to do about a request that failed. */
async function asked<T>({ server }: JoinRequest, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (err) {
    const cause = errorMessage(err);
    if (err instanceof Refusal || cause.startsWith('The clock of this machine')) throw err;
    if (err instanceof ApiError && err.code === 401) {
      throw new Error(
        `${server} refuses the token: it has expired, was deleted, or the clocks of the two machines differ (here it is ${new Date().toISOString()})`,
        { cause: err },
      );
    }
    if (err instanceof ApiError && (err.code === 403 || err.code === 404)) {
      throw new Error(
        `${server} does not let new nodes in yet: ${cause}; on the control plane run: k8ts token create --print-join-command`,
        { cause: err },
      );
    }
    throw new Error(
      `${server} cannot be reached: ${cause}; check the address, that its port is open, and that this machine has a route`,
      { cause: err },
    );
  }
}
