// The library's dependency injection needs the Reflect metadata polyfill before it is loaded.
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { EC_P256, generateKeyPair } from './keys.ts';

/** A certificate and its private key, as PEM. */
export interface KeyAndCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Who a certificate is for, and what it may be used for. */
export interface CertificateRequest {
  commonName: string;
  /** The groups of a client certificate. */
  organizations?: readonly string[];
  /** DNS names and IP addresses of a serving certificate. */
  names?: readonly string[];
  usages: readonly ('server' | 'client')[];
  notAfter: Date;
}

const DAY_MS = 24 * 60 * 60 * 1000;
// kubeadm's periods: a certificate lives for a year, an authority for ten.
export const CERTIFICATE_DAYS = 365;
const AUTHORITY_DAYS = 3650;
// Certificates are valid from a little before now, so that a machine whose clock is behind accepts them.
const CLOCK_SKEW_MS = 5 * 60 * 1000;

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

const AUTHORITY_USAGES =
  x509.KeyUsageFlags.digitalSignature |
  x509.KeyUsageFlags.keyEncipherment |
  x509.KeyUsageFlags.keyCertSign;

const USAGE_OIDS = {
  server: x509.ExtendedKeyUsage.serverAuth,
  client: x509.ExtendedKeyUsage.clientAuth,
};

/** The end of the life of a certificate that is issued at `now`. */
export function certificateEnd(now: number): Date {
  return new Date(now + CERTIFICATE_DAYS * DAY_MS);
}

/** A new self-signed authority. */
export async function createAuthority(commonName: string, now: number): Promise<KeyAndCertificate> {
  const { privateKey } = await generateKeyPair();
  const keys = await importKeys(privateKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: EC_P256,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(AUTHORITY_USAGES, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: commonName }]),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key: privateKey };
}

/**
 * A certificate of a newer authority that an older one has signed (cross-certification): who believes only the older one
 * follows it to what the newer one has issued. Answers PEM.
 */
export async function crossCertificate(
  older: KeyAndCertificate,
  newer: KeyAndCertificate,
  now: number,
): Promise<string> {
  const issuer = new x509.X509Certificate(older.certificate);
  const subject = new x509.X509Certificate(newer.certificate);
  const { privateKey: signingKey } = await importKeys(older.key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: subject.subjectName.toJSON(),
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: issuer.notAfter,
    signingAlgorithm: signingKey.algorithm.name === EC_P256.name ? EC_P256 : RSA,
    publicKey: subject.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(AUTHORITY_USAGES, true),
      await x509.SubjectKeyIdentifierExtension.create(subject.publicKey),
      // Both have one name: this tells which of them it was.
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** A new key and a certificate for it, signed by `authority`. */
export async function issueCertificate(
  authority: KeyAndCertificate,
  request: CertificateRequest,
  now: number,
): Promise<KeyAndCertificate> {
  const { privateKey } = await generateKeyPair();
  const { publicKey } = await importKeys(privateKey);
  return { certificate: await sign(authority, request, publicKey, now), key: privateKey };
}

async function sign(
  authority: KeyAndCertificate,
  request: CertificateRequest,
  publicKey: webcrypto.CryptoKey,
  now: number,
): Promise<string> {
  const names = (request.names ?? []).map((value) => ({
    type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
    value,
  }));
  return signCertificate(
    authority,
    {
      subject: subjectOf(request),
      publicKey,
      names,
      keyUsage: x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
      extendedUsages: request.usages.map((usage) => USAGE_OIDS[usage]),
      notAfter: request.notAfter,
    },
    now,
  );
}

/** Everything about a certificate that is to be signed. */
export interface CertificateContent {
  readonly subject: x509.JsonName;
  readonly publicKey: x509.PublicKeyType;
  readonly names: x509.JsonGeneralNames;
  /** Bits of `x509.KeyUsageFlags`. */
  readonly keyUsage: number;
  /** Object identifiers. */
  readonly extendedUsages: readonly string[];
  readonly notAfter: Date;
}

/** Signs what somebody is to be known by. Answers PEM. */
export async function signCertificate(
  authority: KeyAndCertificate,
  content: CertificateContent,
  now: number,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const { privateKey: signingKey } = await importKeys(authority.key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: content.subject,
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(now - CLOCK_SKEW_MS),
    // A certificate that outlives its issuer would be refused from then on anyway.
    notAfter: new Date(Math.min(content.notAfter.getTime(), issuer.notAfter.getTime())),
    signingAlgorithm: signingKey.algorithm.name === EC_P256.name ? EC_P256 : RSA,
    publicKey: content.publicKey,
    signingKey,
    extensions: await extensionsOf(content, issuer),
  });
  return `${certificate.toString('pem')}\n`;
}

function subjectOf({ commonName, organizations = [] }: CertificateRequest): x509.JsonName {
  return [...organizations.map((name) => ({ O: [name] })), { CN: [commonName] }];
}

async function extensionsOf(
  { keyUsage, extendedUsages, names }: CertificateContent,
  issuer: x509.X509Certificate,
): Promise<x509.Extension[]> {
  const extensions: x509.Extension[] = [
    new x509.KeyUsagesExtension(keyUsage, true),
    new x509.BasicConstraintsExtension(false, undefined, true),
    await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
  ];
  if (extendedUsages.length > 0) {
    extensions.push(new x509.ExtendedKeyUsageExtension([...extendedUsages]));
  }
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(names));
  return extensions;
}

/** Authorities of others (kubeadm's are RSA) are read by Node, whatever their key is encoded as. */
export async function importKeys(privatePem: string): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  const key = createPrivateKey(privatePem);
  const algorithm = key.asymmetricKeyType === 'rsa' ? RSA : EC_P256;
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    subtle.importKey('spki', spki, algorithm, true, ['verify']),
  ]);
  return { privateKey, publicKey };
}

/** 128 random bits; the first one clear, since serial numbers are positive. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString('hex');
}
