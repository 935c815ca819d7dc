import { isObject, type JsonObject } from '../util/json.ts';
import {
  aescbc,
  aesgcm,
  identity,
  secretbox,
  type Transformer,
} from './encryption/transformers.ts';

/** For some resources: the first transformer seals, all of them open. */
export interface EncryptionRule {
  readonly resources: readonly string[];
  readonly transformers: readonly Transformer[];
}

const MAKERS = { aescbc, aesgcm, secretbox } as const;
type ProviderName = keyof typeof MAKERS;
const KEY_BYTES: Readonly<Record<ProviderName, readonly number[]>> = {
  aescbc: [16, 24, 32],
  aesgcm: [16, 24, 32],
  secretbox: [32],
};

/** Reads an EncryptionConfiguration (apiserver.config.k8s.io/v1). Throws Error that names what is wrong, but no key. */
export function encryptionRulesOf(data: unknown): EncryptionRule[] {
  if (!isObject(data) || data.kind !== 'EncryptionConfiguration') {
    throw new Error('The encryption configuration must be an EncryptionConfiguration');
  }
  if (data.apiVersion !== 'apiserver.config.k8s.io/v1') {
    throw new Error(
      `Encryption configuration: unknown apiVersion ${JSON.stringify(data.apiVersion)}`,
    );
  }
  const list = data.resources;
  if (!Array.isArray(list) || list.length === 0) {
    throw new Error('Encryption configuration: resources: Required value');
  }
  return list.map((entry, i) => ruleOf(entry as JsonObject, `resources[${i}]`));
}

function ruleOf({ resources, providers }: JsonObject, at: string): EncryptionRule {
  if (!Array.isArray(resources) || resources.length === 0) {
    throw new Error(`Encryption configuration: ${at}.resources: Required value`);
  }
  if (!Array.isArray(providers) || providers.length === 0) {
    throw new Error(`Encryption configuration: ${at}.providers: Required value`);
  }
  const transformers = providers.flatMap((provider, i) =>
    transformersOf(provider as JsonObject, `${at}.providers[${i}]`),
  );
  return { resources: resources.map(String), transformers };
}

function transformersOf(provider: JsonObject, at: string): Transformer[] {
  const names = Object.keys(provider);
  const [name = ''] = names;
  if (names.length !== 1) {
    throw new Error(`Encryption configuration: ${at}: exactly one provider per entry is needed`);
  }
  if (name === 'identity') return [identity];
  if (!(name in MAKERS)) {
    throw new Error(`Encryption configuration: ${at}: the provider ${name} is not supported`);
  }
  const { keys } = provider[name] as { keys?: { name?: string; secret?: string }[] };
  if (!keys?.length)
    throw new Error(`Encryption configuration: ${at}.${name}.keys: Required value`);
  return keys.map(({ name: keyName = '', secret = '' }, i) => {
    const key = Buffer.from(secret, 'base64');
    const where = `${at}.${name}.keys[${i}]`;
    if (keyName === '' || keyName.includes(':')) {
      throw new Error(`Encryption configuration: ${where}.name: must be there, without a colon`);
    }
    const sizes = KEY_BYTES[name as ProviderName];
    if (!sizes.includes(key.length)) {
      throw new Error(
        `Encryption configuration: ${where}.secret: must be ${sizes.join(' or ')} bytes in base64, is ${key.length}`,
      );
    }
    return MAKERS[name as ProviderName](keyName, key);
  });
}

/** The transformers for a resource (`secrets`, `deployments.apps`): the first rule that names it. Undefined: none does. */
export function transformersFor(
  rules: readonly EncryptionRule[],
  { group, resource }: { group: string; resource: string },
): readonly Transformer[] | undefined {
  const full = group === '' ? resource : `${resource}.${group}`;
  const found = rules.find(({ resources }) =>
    resources.some(
      (name) =>
        name === full || name === '*.*' || name === `*.${group}` || (name === '*.' && group === ''),
    ),
  );
  return found?.transformers;
}
