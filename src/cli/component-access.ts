import type { Command } from 'commander';
import { CONFIG_MAPS } from '../api/resource-types.ts';
import { SUBJECT_ACCESS_REVIEWS } from '../api/system-resource-types.ts';
import type { ConfigMap } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/informer.ts';
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
      ? {
          followClientCa: (found, signal) =>
            publishedAuthority(authenticationKubeconfig, { clock, log }, found, signal),
        }
      : {}),
  };
}

/** Tells of the authority of clients that the API server publishes for other servers of the cluster, as it comes and changes. */
async function publishedAuthority(
  kubeconfig: string,
  { clock, log }: { clock: Clock; log: Logger },
  found: (authority: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const client = await createClient(kubeconfig);
  const selection = {
    namespace: 'kube-system',
    fieldSelector: 'metadata.name=extension-apiserver-authentication',
  };
  const published = createInformer(client, CONFIG_MAPS, selection, { clock, log });
  let known: string | undefined;
  const look = ({ data }: ConfigMap): void => {
    const authority = data?.['client-ca-file'];
    if (authority === undefined || authority === known) return;
    known = authority;
    found(authority);
  };
  published.addHandler({ onAdd: look, onUpdate: (_, after) => look(after) });
  try {
    await published.run(signal);
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
