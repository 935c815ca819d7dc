import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Client } from '../client/client.ts';
import { type ClusterAccess, loadKubeconfig, type Material } from '../client/kubeconfig.ts';
import { RestClient } from '../client/rest-client.ts';
import { whenServing } from '../client/when-serving.ts';
import type { KeyAndCertificate } from '../pki/ca.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { CertificateFiles } from './certificates/certificate-files.ts';
import {
  type AuthorityText,
  CertificateRotation,
  isStillGood,
} from './certificates/certificate-rotation.ts';
import { requestCertificate } from './certificates/request-certificate.ts';
import type { ClientCertificate } from './client-certificate.ts';

export interface IdentityOptions {
  readonly kubeconfig: string;
  /** A kubeconfig with a bootstrap token, for a node that has no other yet. */
  readonly bootstrapKubeconfig?: string | undefined;
  /** --cert-dir */
  readonly certDir: string;
  readonly nodeName: string;
  /** Names and addresses that the node is reached by. */
  readonly names: readonly string[];
  /** Renew the client certificate (rotateCertificates). */
  readonly rotates: boolean;
  readonly userAgent: string;
  /** Whom the cluster believes. When that changes, so do certificates. */
  readonly authority?: AuthorityText | undefined;
  /** The client certificate, if it is renewed. */
  readonly clientCertificate?: ClientCertificate | undefined;
}

interface Deps {
  readonly clock: Clock;
  readonly log: Logger;
}

const NODES_GROUP = 'system:nodes';

/**
 * Who this kubelet is to the API server. Without a good kubeconfig it becomes somebody first, by its bootstrap token
 * (TLS bootstrapping). With rotation its certificate is a file, which the client reads again when it changes.
 */
export async function kubeletAccess(
  options: IdentityOptions,
  deps: Deps,
  signal: AbortSignal,
): Promise<ClusterAccess> {
  const { kubeconfig, bootstrapKubeconfig, rotates } = options;
  const files = clientFiles(options);
  if (bootstrapKubeconfig !== undefined && !(await isUsable(kubeconfig, deps.clock.now()))) {
    await bootstrap(options, bootstrapKubeconfig, deps, signal);
  }
  const access = await loadKubeconfig(kubeconfig);
  if (!rotates) return access;
  if ((await files.load()) === undefined) await seed(files, access, deps.clock.now());
  const current = { file: files.current };
  return { ...access, certificate: current, key: current };
}

/** Renews the client certificate until aborted. */
export function rotateClientCertificate(
  options: IdentityOptions,
  deps: Deps & { client: Client },
  signal: AbortSignal,
): Promise<void> {
  const request = (until: AbortSignal) =>
    requestCertificate(deps, clientWish(options.nodeName), until);
  const { authority, clientCertificate } = options;
  const files = clientFiles(options);
  const onChange = (pair: KeyAndCertificate) => clientCertificate?.set(pair);
  return new CertificateRotation({ ...deps, files, request, authority, onChange }).run(signal);
}

/** Gets and renews the serving certificate until aborted (serverTLSBootstrap). An administrator must approve it. */
export function rotateServingCertificate(
  options: IdentityOptions,
  deps: Deps & { client: Client; onChange: (pair: KeyAndCertificate) => void },
  signal: AbortSignal,
): Promise<void> {
  const wish = {
    signer: 'kubernetes.io/kubelet-serving',
    usages: ['digital signature', 'server auth'],
    commonName: `system:node:${options.nodeName}`,
    organizations: [NODES_GROUP],
    names: options.names,
  };
  const files = new CertificateFiles(options.certDir, 'kubelet-server');
  const { authority, clientCertificate } = options;
  const request = async (until: AbortSignal) => {
    // Everybody sees the serving certificate, and takes it for the word that this node needs no older authority.
    if (authority) await clientCertificate?.follows(authority, until);
    return requestCertificate(deps, wish, until);
  };
  return new CertificateRotation({ ...deps, files, request, authority }).run(signal);
}

/** The certificate that a kubelet serves with when nobody gave it one: its own, that nobody else signed. */
export async function selfSignedServing(
  certDir: string,
  now: number,
): Promise<{ certificate: string; key: string }> {
  const [certificate, key] = [join(certDir, 'kubelet.crt'), join(certDir, 'kubelet.key')];
  if (!existsSync(certificate) || !existsSync(key)) {
    const { createAuthority } = await import('../pki/ca.ts');
    const made = await createAuthority('kubelet', now);
    await mkdir(certDir, { recursive: true, mode: 0o700 });
    await writeFile(key, made.key, { mode: 0o600 });
    await writeFile(certificate, made.certificate);
  }
  return { certificate, key };
}

function clientFiles({ certDir }: IdentityOptions): CertificateFiles {
  return new CertificateFiles(certDir, 'kubelet-client');
}

function clientWish(nodeName: string) {
  return {
    signer: 'kubernetes.io/kube-apiserver-client-kubelet',
    usages: ['digital signature', 'client auth'],
    commonName: `system:node:${nodeName}`,
    organizations: [NODES_GROUP],
  };
}

/** A kubeconfig that is there, and whose certificate has not lapsed. */
async function isUsable(kubeconfig: string, now: number): Promise<boolean> {
  if (!existsSync(kubeconfig)) return false;
  const { certificate, token } = await loadKubeconfig(kubeconfig);
  const text = await textOf(certificate).catch(() => undefined);
  return text === undefined ? token !== undefined : isStillGood(text, now);
}

async function textOf(material: Material | undefined): Promise<string | undefined> {
  if (material === undefined || 'provide' in material) return undefined;
  return 'data' in material ? material.data : readFile(material.file, 'utf8');
}

async function bootstrap(
  options: IdentityOptions,
  bootstrapKubeconfig: string,
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  const access = await loadKubeconfig(bootstrapKubeconfig);
  const client = new RestClient(access, { userAgent: options.userAgent, clock: deps.clock });
  try {
    await whenServing({ ...deps, client }, signal);
    deps.log.info({ node: options.nodeName }, 'Asking for a client certificate');
    const pair = await requestCertificate(
      { ...deps, client },
      clientWish(options.nodeName),
      signal,
    );
    await clientFiles(options).store(pair, deps.clock.now());
  } finally {
    client.close();
  }
  await writeKubeconfig(options, access);
}

/** The kubeconfig that bootstrapping ends with: the cluster of the bootstrap one, and the new certificate by its file. */
async function writeKubeconfig(options: IdentityOptions, access: ClusterAccess): Promise<void> {
  const { kubeconfig } = options;
  const { current } = clientFiles(options);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'default-cluster',
        cluster: {
          server: access.server,
          ...(access.tlsServerName ? { 'tls-server-name': access.tlsServerName } : {}),
          ...authorityFields(access.ca),
        },
      },
    ],
    users: [
      { name: 'default-auth', user: { 'client-certificate': current, 'client-key': current } },
    ],
    contexts: [
      { name: 'default-context', context: { cluster: 'default-cluster', user: 'default-auth' } },
    ],
    'current-context': 'default-context',
  };
  await mkdir(dirname(kubeconfig), { recursive: true });
  const temporary = `${kubeconfig}.tmp`;
  await writeFile(temporary, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
  await rename(temporary, kubeconfig);
}

/** A file stays a file: its content may change. */
function authorityFields(ca: Material | undefined): Record<string, string> {
  if (ca === undefined || 'provide' in ca) return {};
  return 'file' in ca
    ? { 'certificate-authority': ca.file }
    : { 'certificate-authority-data': Buffer.from(ca.data).toString('base64') };
}

/** The certificate of the kubeconfig is the first that rotation follows. */
async function seed(files: CertificateFiles, access: ClusterAccess, now: number): Promise<void> {
  const [certificate, key] = await Promise.all([textOf(access.certificate), textOf(access.key)]);
  if (certificate === undefined || key === undefined) {
    throw new Error('rotateCertificates needs a client certificate in the kubeconfig');
  }
  await files.store({ certificate, key }, now);
}
