import { X509Certificate } from 'node:crypto';
import type { PeerCertificate, TLSSocket } from 'node:tls';

/** Authorities as PEM. Absent: none. */
export interface TrustedAuthorities {
  /** Of client certificates. */
  readonly clientAuthority?: string | undefined;
  /** Of front proxies. */
  readonly proxyAuthority?: string | undefined;
}

type Roots = ReadonlySet<string>;

/** Whose certificates say who somebody is. Replaced as a whole when the files have changed: what was concluded before is forgotten. */
export class Trust {
  #roots: { readonly client: Roots; readonly proxy: Roots };
  #generation = 0;

  constructor(authorities: TrustedAuthorities) {
    this.#roots = rootsOf(authorities);
  }

  /** Changes whenever the authorities do. */
  get generation(): number {
    return this.#generation;
  }

  use(authorities: TrustedAuthorities): void {
    this.#roots = rootsOf(authorities);
    this.#generation++;
  }

  /** Whether the certificate of a connection goes back to an authority for this purpose. */
  covers(socket: TLSSocket, purpose: 'client' | 'proxy'): boolean {
    return descendsFrom(socket, this.#roots[purpose]);
  }
}

function rootsOf({ clientAuthority = '', proxyAuthority = '' }: TrustedAuthorities) {
  return { client: fingerprintsOf(clientAuthority), proxy: fingerprintsOf(proxyAuthority) };
}

/** SHA-256 fingerprints of the certificates of a PEM text. */
function fingerprintsOf(pem: string): Roots {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return new Set(found.map((one) => new X509Certificate(one).fingerprint256));
}

/** The connection has checked the chain by all authorities; this tells which one it ends at. */
function descendsFrom(socket: TLSSocket, roots: Roots): boolean {
  if (!socket.authorized) return false;
  let certificate: PeerCertificate | undefined = socket.getPeerCertificate(true);
  for (let depth = 0; certificate?.fingerprint256 && depth < 10; depth++) {
    if (roots.has(certificate.fingerprint256)) return true;
    const issuer: PeerCertificate | undefined = (
      certificate as { issuerCertificate?: PeerCertificate }
    ).issuerCertificate;
    if (issuer === certificate) return false;
    certificate = issuer;
  }
  return false;
}
