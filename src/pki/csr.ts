// The library's dependency injection needs the Reflect metadata polyfill before it is loaded.
import 'reflect-metadata';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { importKeys, type KeyAndCertificate, signCertificate } from './ca.ts';
import { EC_P256 } from './keys.ts';

/** What a PKCS#10 request says of its sender. */
export interface SigningRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
}

/** Reads a request in PEM. Throws when it is none, or its signature is not by its own key. */
export async function readSigningRequest(pem: string): Promise<SigningRequest> {
  const request = await parse(pem);
  const names = namesOf(request);
  const valuesOf = (type: x509.GeneralNameType) =>
    names.filter((name) => name.type === type).map((name) => name.value);
  return {
    commonName: request.subjectName.getField('CN')[0] ?? '',
    organizations: request.subjectName.getField('O'),
    dnsNames: valuesOf('dns'),
    ipAddresses: valuesOf('ip'),
    emailAddresses: valuesOf('email'),
    uris: valuesOf('url'),
  };
}

async function parse(pem: string): Promise<x509.Pkcs10CertificateRequest> {
  const text = pem.replaceAll('NEW CERTIFICATE REQUEST', 'CERTIFICATE REQUEST');
  const request = new x509.Pkcs10CertificateRequest(text);
  if (!(await request.verify())) throw new Error('The request is not signed by its own key');
  return request;
}

const SAN = '2.5.29.17';

function namesOf(request: x509.Pkcs10CertificateRequest): x509.GeneralName[] {
  const found = request.getExtension(SAN) as x509.SubjectAlternativeNameExtension | null;
  return found ? [...found.names.items] : [];
}

/** Asks for a certificate, in PEM; `key` is the private key that it will belong to. */
export async function createSigningRequest(
  key: string,
  who: { commonName: string; organizations?: readonly string[]; names?: readonly string[] },
): Promise<string> {
  const { organizations = [], names = [] } = who;
  const extensions =
    names.length === 0
      ? []
      : [
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
          ),
        ];
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [...organizations.map((name) => ({ O: [name] })), { CN: [who.commonName] }],
    keys: await importKeys(key),
    signingAlgorithm: EC_P256,
    extensions,
  });
  return `${request.toString('pem')}\n`;
}

const { KeyUsageFlags: KEY, ExtendedKeyUsage: EXTENDED } = x509;

/** The usages of certificates.k8s.io as bits of the key usage extension. */
const KEY_USAGES: Readonly<Record<string, number>> = {
  signing: KEY.digitalSignature,
  'digital signature': KEY.digitalSignature,
  'content commitment': KEY.nonRepudiation,
  'key encipherment': KEY.keyEncipherment,
  'data encipherment': KEY.dataEncipherment,
  'key agreement': KEY.keyAgreement,
  'cert sign': KEY.keyCertSign,
  'crl sign': KEY.cRLSign,
  'encipher only': KEY.encipherOnly,
  'decipher only': KEY.decipherOnly,
};

const EXTENDED_USAGES: Readonly<Record<string, string>> = {
  any: '2.5.29.37.0',
  'server auth': EXTENDED.serverAuth,
  'client auth': EXTENDED.clientAuth,
  'code signing': EXTENDED.codeSigning,
  'email protection': EXTENDED.emailProtection,
  's/mime': EXTENDED.emailProtection,
  timestamping: EXTENDED.timeStamping,
  'ocsp signing': EXTENDED.ocspSigning,
};

/** Signs a request as it is, for these usages of certificates.k8s.io. Throws RangeError for usages that X.509 lacks. */
export async function signRequest(
  authority: KeyAndCertificate,
  pem: string,
  terms: { usages: readonly string[]; notAfter: Date },
  now: number,
): Promise<string> {
  const request = await parse(pem);
  let keyUsage = 0;
  const extendedUsages: string[] = [];
  for (const usage of terms.usages) {
    const [bit, oid] = [KEY_USAGES[usage], EXTENDED_USAGES[usage]];
    if (bit === undefined && oid === undefined) {
      throw new RangeError(`unrecognized usage values: [${usage}]`);
    }
    keyUsage |= bit ?? 0;
    if (oid !== undefined) extendedUsages.push(oid);
  }
  return signCertificate(
    authority,
    {
      subject: request.subjectName.toJSON(),
      publicKey: request.publicKey,
      names: namesOf(request).map(({ type, value }) => ({ type, value })),
      keyUsage,
      extendedUsages,
      notAfter: terms.notAfter,
    },
    now,
  );
}
