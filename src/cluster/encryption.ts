import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import type { Paths } from './paths.ts';

interface Key {
  name: string;
  secret: string;
}

interface EncryptionConfiguration {
  apiVersion: string;
  kind: string;
  resources: { resources: string[]; providers: Record<string, { keys?: Key[] }>[] }[];
}

const PROVIDER = 'secretbox';
const KEY_BYTES = 32;

/** Where the keys lie that Secrets are encrypted with in the store. Without it a backup is worth nothing. */
export function encryptionFile(paths: Paths): string {
  return join(paths.config, 'encryption.json');
}

/** Makes the first key of a cluster; existing keys are never replaced. */
export function ensureEncryption(paths: Paths): void {
  if (readIfExists(encryptionFile(paths)) !== undefined) return;
  writeConfiguration(paths, [newKey(1)]);
}

/** The keys, the one that encrypts first. Undefined: the cluster has no such file, or not one of ours. */
export function encryptionKeys(paths: Paths): { provider: string; names: string[] } | undefined {
  const keys = readKeys(paths);
  return keys && { provider: PROVIDER, names: keys.map(({ name }) => name) };
}

/** Puts a new key before the others: what is written from now on is encrypted with it. Answers its name. */
export function addEncryptionKey(paths: Paths): string {
  const keys = readKeys(paths);
  if (!keys)
    throw new Error(`${encryptionFile(paths)} is missing, or is not of this program's making`);
  const last = Math.max(0, ...keys.map(({ name }) => Number(/\d+$/.exec(name)?.[0] ?? 0)));
  const key = newKey(last + 1);
  writeConfiguration(paths, [key, ...keys]);
  return key.name;
}

/** Forgets all keys but the first. Only when nothing is encrypted with them any more. */
export function dropOldKeys(paths: Paths): void {
  writeConfiguration(paths, (readKeys(paths) ?? []).slice(0, 1));
}

function newKey(number: number): Key {
  return { name: `key${number}`, secret: randomBytes(KEY_BYTES).toString('base64') };
}

function readKeys(paths: Paths): Key[] | undefined {
  const text = readIfExists(encryptionFile(paths));
  if (text === undefined) return undefined;
  const { resources } = JSON.parse(text) as EncryptionConfiguration;
  return resources[0]?.providers[0]?.[PROVIDER]?.keys;
}

/** `identity` comes last: what was written before there were keys can still be read. */
function writeConfiguration(paths: Paths, keys: readonly Key[]): void {
  const configuration: EncryptionConfiguration = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [
      {
        resources: ['secrets'],
        providers: [{ [PROVIDER]: { keys: [...keys] } }, { identity: {} }],
      },
    ],
  };
  const text = `${JSON.stringify(configuration, undefined, 2)}\n`;
  writeWhole(encryptionFile(paths), text, SECRET_MODE);
}
