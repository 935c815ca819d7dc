import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateRequest, KeyAndCertificate } from '../pki/ca.ts';
import { isIssuedBy, readCertificate } from '../pki/certificate.ts';
import { generateKeyPair } from '../pki/keys.ts';
import { PUBLIC_MODE, readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import type { KubeconfigUser, Paths } from './paths.ts';
import { type ClusterSettings, firstServiceIp } from './settings.ts';

/** The group of administrators, which have their rights by a binding, so that they can be taken away; kubeadm's. */
export const ADMINISTRATORS = 'kubeadm:cluster-admins';

type Identity = Omit<CertificateRequest, 'notAfter'>;
export type AuthorityName = 'ca' | 'front-proxy-ca' | 'etcd/ca';

/** Authorities of a cluster: file name without ending → common name. kubeadm's. */
export const AUTHORITIES: Record<AuthorityName, string> = {
  ca: 'kubernetes',
  'front-proxy-ca': 'front-proxy-ca',
  'etcd/ca': 'etcd-ca',
};

// kubeadm renews what has less than this left when it is run; a year-long certificate then never lapses.
const RENEW_BEFORE_MS = 60 * 24 * 60 * 60 * 1000;

/** A certificate of the cluster, as a pair of files `NAME.crt` and `NAME.key`. */
export interface CertificateSpec {
  /** Without ending. */
  readonly file: string;
  readonly authority: AuthorityName;
  readonly identity: Identity;
}

/** The certificates that the control plane and this node keep as files. Names and identities are kubeadm's. */
export function certificateSpecs(paths: Paths, settings: ClusterSettings): CertificateSpec[] {
  const { nodeName, nodeIp, domain } = settings;
  const inPki = (name: string) => join(paths.pki, name);
  return [
    {
      file: inPki('apiserver'),
      authority: 'ca',
      identity: {
        commonName: 'kube-apiserver',
        names: unique([
          'kubernetes',
          'kubernetes.default',
          'kubernetes.default.svc',
          `kubernetes.default.svc.${domain}`,
          'localhost',
          nodeName,
          firstServiceIp(settings.serviceCidr),
          nodeIp,
          '127.0.0.1',
          ...settings.extraNames,
          ...(settings.endpoint === '' ? [] : [hostOf(settings.endpoint)]),
        ]),
        usages: ['server'],
      },
    },
    {
      file: inPki('apiserver-kubelet-client'),
      authority: 'ca',
      identity: {
        commonName: 'kube-apiserver-kubelet-client',
        usages: ['client'],
      },
    },
    {
      file: inPki('front-proxy-client'),
      authority: 'front-proxy-ca',
      identity: { commonName: 'front-proxy-client', usages: ['client'] },
    },
    kubeletServing(paths, settings),
    ...(settings.store === 'stacked' ? etcdSpecs(paths, settings) : []),
  ];
}

/** Between members of etcd, and between them and API servers. Members are clients of each other, and of themselves. */
function etcdSpecs({ pki }: Paths, { nodeName, nodeIp }: ClusterSettings): CertificateSpec[] {
  const names = unique([nodeName, 'localhost', nodeIp, '127.0.0.1']);
  const member = { commonName: nodeName, names, usages: ['server', 'client'] as const };
  const client = (commonName: string) => ({ commonName, usages: ['client'] as const });
  const identities: Record<string, Identity> = {
    'etcd/server': member,
    'etcd/peer': member,
    'etcd/healthcheck-client': client('kube-etcd-healthcheck-client'),
    'apiserver-etcd-client': client('kube-apiserver-etcd-client'),
  };
  return Object.entries(identities).map(([name, identity]) => ({
    file: join(pki, name),
    authority: 'etcd/ca',
    identity,
  }));
}

/** The HOST of `HOST:PORT`. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

/** What the API server finds on a kubelet's port. */
function kubeletServing(paths: Paths, { nodeName, nodeIp }: ClusterSettings): CertificateSpec {
  return {
    file: join(paths.kubelet, 'pki', 'kubelet'),
    authority: 'ca',
    identity: {
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      names: unique([nodeName, nodeIp, '127.0.0.1']),
      usages: ['server'],
    },
  };
}

/** Who a component is to the API server: the certificate inside its kubeconfig. */
export function clientIdentity(user: KubeconfigUser, nodeName: string): Identity {
  const identities: Record<KubeconfigUser, Omit<Identity, 'usages'>> = {
    admin: { commonName: 'kubernetes-admin', organizations: [ADMINISTRATORS] },
    'super-admin': { commonName: 'kubernetes-super-admin', organizations: ['system:masters'] },
    'controller-manager': { commonName: 'system:kube-controller-manager' },
    scheduler: { commonName: 'system:kube-scheduler' },
    kubelet: { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] },
    proxy: { commonName: 'system:kube-proxy' },
    dns: { commonName: 'system:coredns' },
  };
  return { ...identities[user], usages: ['client'] };
}

/** Makes the authorities and the service account keys that are missing; existing ones are never replaced. */
export async function ensureAuthorities(pki: string, now: number): Promise<void> {
  for (const [name, commonName] of Object.entries(AUTHORITIES)) {
    if (existsSync(join(pki, `${name}.crt`))) continue;
    const { createAuthority } = await import('../pki/ca.ts');
    writePair(join(pki, name), await createAuthority(commonName, now));
  }
  if (existsSync(join(pki, 'sa.key'))) return;
  const { privateKey, publicKey } = await generateKeyPair();
  writeWhole(join(pki, 'sa.pub'), publicKey);
  writeWhole(join(pki, 'sa.key'), privateKey, SECRET_MODE);
}

/** Issues what is missing, is about to lapse (`asOf` some other time) or no longer fits. Answers the names of what was written. */
export async function ensureCertificates(
  specs: readonly CertificateSpec[],
  pki: string,
  now: number,
  asOf = now,
): Promise<string[]> {
  const written: string[] = [];
  for (const spec of specs) {
    const authority = readPair(join(pki, spec.authority));
    if (stillGood(readPairIfExists(spec.file), authority, spec.identity, asOf)) continue;
    const made = await issue(authority, spec.identity, now);
    const isServing = spec.identity.usages.includes('server');
    const chain = isServing ? (readIfExists(crossFile(pki, spec.authority)) ?? '') : '';
    writePair(spec.file, { ...made, certificate: made.certificate + chain });
    written.push(spec.file);
  }
  return written;
}

/** Where the certificate is by which an authority's predecessor vouches for it, while that is still believed. */
export function crossFile(pki: string, authority: string): string {
  return join(pki, `${authority}-cross.crt`);
}

/** A new key and certificate. The issuing library is loaded here, since most starts issue nothing. */
export async function issue(
  authority: KeyAndCertificate,
  identity: Identity,
  now: number,
): Promise<KeyAndCertificate> {
  const { certificateEnd, issueCertificate } = await import('../pki/ca.ts');
  return issueCertificate(authority, { ...identity, notAfter: certificateEnd(now) }, now);
}

/** Whether a certificate can stay: signed by today's authority, far from its end, and for these names. */
export function stillGood(
  pair: KeyAndCertificate | undefined,
  authority: KeyAndCertificate,
  identity: Identity,
  now: number,
): boolean {
  if (!pair) return false;
  const facts = readCertificate(pair.certificate);
  return (
    facts.notAfter.getTime() - now > RENEW_BEFORE_MS &&
    facts.commonName === identity.commonName &&
    facts.organizations.join() === (identity.organizations ?? []).join() &&
    (identity.names ?? []).every((name) => facts.names.includes(name)) &&
    isIssuedBy(pair.certificate, pair.key, authority.certificate)
  );
}

/** Reads `FILE.crt` and `FILE.key`. */
export function readPair(file: string): KeyAndCertificate {
  return {
    certificate: readFileSync(`${file}.crt`, 'utf8'),
    key: readFileSync(`${file}.key`, 'utf8'),
  };
}

export function readPairIfExists(file: string): KeyAndCertificate | undefined {
  return existsSync(`${file}.crt`) && existsSync(`${file}.key`) ? readPair(file) : undefined;
}

export function writePair(file: string, { certificate, key }: KeyAndCertificate): void {
  writeWhole(`${file}.key`, key, SECRET_MODE);
  writeWhole(`${file}.crt`, certificate, PUBLIC_MODE);
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
