import { createPrivateKey, X509Certificate } from 'node:crypto';

/** What a certificate says. */
export interface CertificateFacts {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** DNS names and IP addresses, in no order. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isAuthority: boolean;
  readonly issuer: string;
}

/** Reads the first certificate of a PEM text. Throws when it is none. */
export function readCertificate(pem: string): CertificateFacts {
  const certificate = new X509Certificate(pem);
  const subject = attributes(certificate.subject);
  return {
    commonName: subject.get('CN')?.[0] ?? '',
    organizations: subject.get('O') ?? [],
    names: alternativeNames(certificate.subjectAltName),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    isAuthority: certificate.ca,
    issuer: attributes(certificate.issuer).get('CN')?.[0] ?? '',
  };
}

/** True when `key` belongs to the certificate and `authority` signed it. Dates are not looked at. */
export function isIssuedBy(pem: string, key: string, authority: string): boolean {
  const certificate = new X509Certificate(pem);
  const issuer = new X509Certificate(authority);
  return (
    certificate.checkPrivateKey(createPrivateKey(key)) &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey)
  );
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Whether one of these authorities issued the certificate, and not the newest of them. */
export function isOfOlderAuthority(pem: string, authorities: string): boolean {
  const certificate = new X509Certificate(pem);
  const [newest, ...older] = (authorities.match(CERTIFICATE) ?? [])
    .map((one) => new X509Certificate(one))
    .sort((a, b) => Date.parse(b.validFrom) - Date.parse(a.validFrom));
  const isBy = (authority: X509Certificate) =>
    certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  return newest !== undefined && !isBy(newest) && older.some(isBy);
}

/** Node prints a distinguished name as lines of `CN=name`. */
function attributes(name: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of name.split('\n')) {
    const at = line.indexOf('=');
    const key = line.slice(0, at);
    found.set(key, [...(found.get(key) ?? []), line.slice(at + 1)]);
  }
  return found;
}

/** Node prints alternative names as `DNS:a, IP Address:1.2.3.4`. */
function alternativeNames(text: string | undefined): string[] {
  if (!text) return [];
  return text.split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/, ''));
}
