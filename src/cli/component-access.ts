import type { Command } from 'commander';
import { CONFIG_MAPS } from '../api/resource-types.ts';
import { SUBJECT_ACCESS_REVIEWS } from '../api/system-resource-types.ts';
import type { Client } from '../client/client.ts';
import { createClient } from '../client/rest-client.ts';
import type { ComponentServerOptions } from '../http/component-server.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';

/** Flags of a component that serves its metrics: where, and to whom. */
export interface ServingFlags {
  readonly bindAddress: string;
  readonly securePort: string;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile?: string;
  readonly authenticationKubeconfig?: string;
  readonly authorizationKubeconfig?: string;
}

export function servingFlags(command: Command, port: number): Command {
  return command
    .option('--bind-address <address>', 'where health and metrics are served', '0.0.0.0')
    .option('--secure-port <port>', 'where health and metrics are served; 0: nowhere', `${port}`)
    .option('--tls-cert-file <file>', 'serving certificate')
    .option('--tls-private-key-file <file>', 'its key')
    .option('--client-ca-file <file>', 'whose clients may read metrics')
    .option(
      '--authentication-kubeconfig <file>',
      'where to read that authority when there is no --client-ca-file',
    )
    .option(
      '--authorization-kubeconfig <file>',
      'as whom to ask whether a client may read (default: --kubeconfig)',
    );
}

const RETRY_MS = 1000;

/** Where a component serves, and whose certificates it believes. */
export function servingOptions(
  flags: ServingFlags,
  { clock, log }: { clock: Clock; log: Logger },
): ComponentServerOptions {
  const { authenticationKubeconfig, clientCaFile } = flags;
  const asks = authenticationKubeconfig !== undefined && clientCaFile === undefined;
  return {
    host: flags.bindAddress,
    port: Number(flags.securePort),
    certificateFile: flags.tlsCertFile,
    keyFile: flags.tlsPrivateKeyFile,
    clientCaFile,
    onError: (err) => log.error({ err: errorMessage(err) }, 'Could not use a changed file'),
    ...(asks
      ? { findClientCa: (signal) => publishedAuthority(authenticationKubeconfig, clock, signal) }
      : {}),
  };
}

/** The authority of clients that the API server publishes for other servers of the cluster. Waits until it does. */
async function publishedAuthority(
  kubeconfig: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  const client = await createClient(kubeconfig);
  const key = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
  try {
    for (;;) {
      const found = await client.get(CONFIG_MAPS, key, signal).catch(() => undefined);
      const authority = found?.data?.['client-ca-file'];
      if (authority !== undefined) return authority;
      await clock.sleep(RETRY_MS, signal);
    }
  } finally {
    client.close();
  }
}

/** Asks the cluster's authorizer whether a client may GET a path of a component. Administrators always may. */
export function pathAuthorizer(
  flags: Pick<ServingFlags, 'authorizationKubeconfig'>,
  client: Client,
): (user: { name: string; groups: string[] }, path: string) => Promise<boolean> {
  const { authorizationKubeconfig: file } = flags;
  let asking: Promise<Client> | undefined;
  return async ({ name, groups }, path) => {
    if (groups.includes('system:masters')) return true;
    asking ??= file === undefined ? Promise.resolve(client) : createClient(file);
    const review = await (await asking).create(SUBJECT_ACCESS_REVIEWS, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: { user: name, groups, nonResourceAttributes: { path, verb: 'get' } },
    });
    return review.status?.allowed === true;
  };
}
