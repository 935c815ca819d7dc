import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SECRETS } from '../api/resource-types.ts';
import type { KubeObject, Secret } from '../api/types.ts';
import { parseYamlDocuments } from '../api/yaml.ts';
import type { Client } from '../client/client.ts';
import { applyObjects } from './apply.ts';
import { crossFile } from './certificates.ts';
import { encryptionFile } from './encryption.ts';
import { PUBLIC_MODE, readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import type { Paths } from './paths.ts';

/** The Secret through which control planes of a cluster share their authorities; kubeadm's. */
export const CERTIFICATES_SECRET = { namespace: 'kube-system', name: 'kubeadm-certs' };
const MANIFEST = fileURLToPath(new URL('../../deploy/control-planes.yaml', import.meta.url));

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Key of the Secret → file, below the directory of certificates. kubeadm's, and the keys that Secrets are encrypted with. */
function sharedFiles(paths: Paths): Record<string, string> {
  const inPki = (name: string) => join(paths.pki, name);
  return {
    'ca.crt': inPki('ca.crt'),
    'ca.key': inPki('ca.key'),
    'ca-cross.crt': crossFile(paths.pki, 'ca'),
    'etcd-ca.crt': inPki('etcd/ca.crt'),
    'etcd-ca.key': inPki('etcd/ca.key'),
    'front-proxy-ca.crt': inPki('front-proxy-ca.crt'),
    'front-proxy-ca.key': inPki('front-proxy-ca.key'),
    'sa.key': inPki('sa.key'),
    'sa.pub': inPki('sa.pub'),
    'encryption.json': encryptionFile(paths),
  };
}

/** A new key that certificates are encrypted with on their way. Whoever has it and a token becomes a control plane. */
export function newCertificateKey(): string {
  return randomBytes(KEY_BYTES).toString('hex');
}

/**
 * Puts the authorities of this control plane into the cluster for others to fetch, encrypted with the key. They go when the
 * Secret `until` goes: that of the token with which they are fetched.
 */
export async function uploadCertificates(
  client: Client,
  paths: Paths,
  { key, until }: { key: string; until: Secret },
  signal: AbortSignal,
): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(sharedFiles(paths)).flatMap(([name, file]) => {
      const text = readIfExists(file);
      return text === undefined ? [] : [[name, seal(Buffer.from(text), key).toString('base64')]];
    }),
  );
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...CERTIFICATES_SECRET, ownerReferences: [ownedBy(until)] },
    data,
  } as unknown as KubeObject;
  const rights = (await parseYamlDocuments(readFileSync(MANIFEST, 'utf8'))) as KubeObject[];
  const problems = await applyObjects(client, [secret, ...rights], signal);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

function ownedBy({ metadata: { name, uid } }: Secret): object {
  return { apiVersion: 'v1', kind: 'Secret', name, uid, controller: true };
}

/** Fetches them and puts each in its place. */
export async function downloadCertificates(
  client: Client,
  paths: Paths,
  key: string,
): Promise<void> {
  const { data = {} } = await client.get(SECRETS, CERTIFICATES_SECRET);
  const files = Object.entries(sharedFiles(paths)).flatMap(([name, file]) => {
    const sealed = data[name];
    if (sealed === undefined) return [];
    return [{ file, text: open(Buffer.from(sealed, 'base64'), key).toString() }];
  });
  for (const { file, text } of files) {
    writeWhole(file, text, /[.](crt|pub)$/.test(file) ? PUBLIC_MODE : SECRET_MODE);
  }
}

/** Nonce, then what was encrypted, then its tag, as kubeadm has it. */
export function seal(content: Buffer, key: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyOf(key), nonce);
  return Buffer.concat([nonce, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
}

/** Throws for another key, and for what was changed on the way. */
export function open(sealed: Buffer, key: string): Buffer {
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, keyOf(key), sealed.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()]);
  } catch (err) {
    throw new Error(
      'The certificate key does not fit the certificates of the cluster; make both anew with: k8ts token create --control-plane --print-join-command',
      { cause: err },
    );
  }
}

function keyOf(hex: string): Buffer {
  const key = Buffer.from(hex, 'hex');
  if (key.length === KEY_BYTES) return key;
  throw new Error(`The certificate key must be ${2 * KEY_BYTES} hexadecimal digits`);
}
