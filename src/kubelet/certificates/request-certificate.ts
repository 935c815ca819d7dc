import { isNotFound } from '../../api/errors.ts';
import { CERTIFICATE_SIGNING_REQUESTS } from '../../api/system-resource-types.ts';
import type { CertificateSigningRequest, Draft } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { KeyAndCertificate } from '../../pki/ca.ts';
import { generateKeyPair } from '../../pki/keys.ts';
import type { Clock } from '../../util/clock.ts';

type Csr = CertificateSigningRequest;

/** Whose certificate is asked for, of which signer, for which use. */
export interface CertificateWish {
  readonly signer: string;
  readonly usages: readonly string[];
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly names?: readonly string[];
}

// Upstream gives up after as long, and asks again with a new key.
const PATIENCE_MS = 15 * 60 * 1000;
const RETRY_MS = 1000;

/** Asks the cluster for a certificate and waits until it is issued. Throws when it is denied, or nobody decides. */
export async function requestCertificate(
  { client, clock }: { client: Client; clock: Clock },
  wish: CertificateWish,
  signal: AbortSignal,
): Promise<KeyAndCertificate> {
  const { createSigningRequest } = await import('../../pki/csr.ts');
  const { privateKey: key } = await generateKeyPair();
  const request = Buffer.from(await createSigningRequest(key, wish)).toString('base64');
  const draft: Draft<Csr> = {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { generateName: 'csr-' },
    spec: { request, signerName: wish.signer, usages: [...wish.usages] },
  };
  const made = await client.create(CERTIFICATE_SIGNING_REQUESTS, draft);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
  const certificate = await issued({ client, clock }, made, patience);
  return { certificate, key };
}

type Found = { readonly csr: Csr; readonly certificate: string | undefined };

/** Watches, and looks again after each watch, until the certificate is there. */
async function issued(
  { client, clock }: { client: Client; clock: Clock },
  made: Csr,
  signal: AbortSignal,
): Promise<string> {
  let seen: Found = { csr: made, certificate: undefined };
  for (;;) {
    seen = await watched(client, seen.csr, signal).catch((err: unknown) =>
      retried(err, seen, signal),
    );
    if (seen.certificate !== undefined) return seen.certificate;
    seen = await look(client, seen.csr, signal).catch((err: unknown) => retried(err, seen, signal));
    if (seen.certificate !== undefined) return seen.certificate;
    await clock.sleep(RETRY_MS, signal);
  }
}

/** What only says that the server was not reached is no answer. */
function retried(err: unknown, seen: Found, signal: AbortSignal): Found {
  signal.throwIfAborted();
  if (err instanceof RefusedError || isNotFound(err)) throw err;
  return seen;
}

async function look(
  client: Client,
  { metadata: { name } }: Csr,
  signal: AbortSignal,
): Promise<Found> {
  const csr = await client.get(CERTIFICATE_SIGNING_REQUESTS, { namespace: '', name }, signal);
  return { csr, certificate: outcomeOf(csr) };
}

async function watched(client: Client, csr: Csr, signal: AbortSignal): Promise<Found> {
  const { name, resourceVersion = '' } = csr.metadata;
  const which = { fieldSelector: `metadata.name=${name}`, resourceVersion };
  let last = csr;
  for await (const event of client.watch(CERTIFICATE_SIGNING_REQUESTS, which, signal)) {
    if (event.type === 'DELETED') {
      throw new RefusedError(`The certificate request ${name} was deleted`);
    }
    if (event.type === 'BOOKMARK') continue;
    last = event.object;
    const certificate = outcomeOf(last);
    if (certificate !== undefined) return { csr: last, certificate };
  }
  return { csr: last, certificate: undefined };
}

class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

/** The certificate in PEM; undefined while it is still to be decided. Throws RefusedError for a denied request. */
function outcomeOf({ metadata, status }: Csr): string | undefined {
  for (const { type, reason, message } of status?.conditions ?? []) {
    if (type !== 'Denied' && type !== 'Failed') continue;
    const word = type === 'Denied' ? 'was denied' : 'has failed';
    throw new RefusedError(
      `The certificate request ${metadata.name} ${word}: ${reason}: ${message}`,
    );
  }
  const certificate = status?.certificate;
  return certificate ? Buffer.from(certificate, 'base64').toString('utf8') : undefined;
}
