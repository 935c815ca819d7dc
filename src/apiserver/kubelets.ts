import { Agent } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { ApiError, badRequest } from '../api/errors.ts';
import type { Node } from '../api/types.ts';
import { joinHostPort } from '../util/ip.ts';

/** Credentials towards kubelets, as PEM. Without `authority` their certificates are not checked. */
export interface KubeletCredentials {
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly authority?: string | undefined;
}

// kubeadm's --kubelet-preferred-address-types.
const PREFERRED = ['InternalIP', 'ExternalIP', 'Hostname'];
const DEFAULT_PORT = 10250;

/** How the API server reaches the kubelets of its nodes. */
export class Kubelets {
  #tls: SecureContextOptions & { rejectUnauthorized: boolean };
  #agent: Agent;

  constructor(credentials: KubeletCredentials) {
    this.#tls = tlsOf(credentials);
    this.#agent = this.#newAgent();
  }

  get tls(): SecureContextOptions & { rejectUnauthorized: boolean } {
    return this.#tls;
  }

  get agent(): Agent {
    return this.#agent;
  }

  /** New connections are made with these. Those under way go on; idle ones end by themselves. */
  use(credentials: KubeletCredentials): void {
    this.#tls = tlsOf(credentials);
    this.#agent = this.#newAgent();
  }

  #newAgent(): Agent {
    return new Agent({ keepAlive: true, timeout: 60_000, ...this.#tls });
  }

  /** `https://ADDRESS:PORT` of a node's kubelet. */
  urlOf(node: Node, path: string, query = ''): URL {
    const { addresses = [], daemonEndpoints } = node.status ?? {};
    const address = PREFERRED.flatMap((type) => addresses.filter((a) => a.type === type))[0];
    if (!address) {
      throw new ApiError(
        'InternalError',
        `Internal error occurred: no preferred addresses found; known addresses: [${addresses.map((a) => a.type).join(' ')}]`,
      );
    }
    const port = daemonEndpoints?.kubeletEndpoint?.Port || DEFAULT_PORT;
    const suffix = query === '' ? '' : `?${query}`;
    return new URL(`https://${joinHostPort(address.address, port)}${path}${suffix}`);
  }

  close(): void {
    this.#agent.destroy();
  }
}

function tlsOf({ certificate, key, authority }: KubeletCredentials) {
  return {
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(authority === undefined ? {} : { ca: authority }),
    rejectUnauthorized: authority !== undefined,
  };
}

/** Which container of a Pod a request means. */
export function containerOf(
  pod: { metadata: { name: string }; spec?: PodContainers | undefined },
  asked: string,
): string {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const { name } = pod.metadata;
  const all = [...containers, ...initContainers, ...ephemeralContainers].map((c) => c.name);
  if (asked !== '') {
    if (all.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only] = containers;
  if (only && containers.length === 1) return only.name;
  const names = containers.map((c) => c.name).join(' ');
  const init = initContainers.map((c) => c.name).join(' ');
  const which =
    init === ''
      ? `choose one of: [${names}]`
      : `choose one of: [${names}] or one of the init containers: [${init}]`;
  throw badRequest(`a container name must be specified for pod ${name}, ${which}`);
}

interface PodContainers {
  containers?: { name: string }[] | undefined;
  initContainers?: { name: string }[] | undefined;
  ephemeralContainers?: { name: string }[] | undefined;
}
