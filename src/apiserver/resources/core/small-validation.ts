import {
  type FieldError,
  forbidden,
  invalid,
  required,
  tooLong,
} from '../../../api/field-errors.ts';
import { configMapKey, dns1123Label, dns1123Subdomain, portNumber } from '../../../api/names.ts';
import type { ConfigMap, Endpoints, Secret } from '../../../api/types.ts';
import { checked, each, immutable, mustBeThere, oneOf, validateIp, within } from '../validation.ts';

/** What a ConfigMap or a Secret may hold in all. */
const MAX_BYTES = 1024 * 1024;

type Data = Readonly<Record<string, string>>;

function bytesOf(data: Data | undefined, base64: boolean): number {
  let total = 0;
  for (const value of Object.values(data ?? {})) {
    total += base64 ? Buffer.byteLength(value, 'base64') : Buffer.byteLength(value);
  }
  return total;
}

function validateKeys(data: Data | undefined, path: string): FieldError[] {
  return Object.keys(data ?? {}).flatMap((key) => checked(key, configMapKey, `${path}[${key}]`));
}

export function validateConfigMap({ data, binaryData }: ConfigMap): FieldError[] {
  const out = validateKeys(data, 'data');
  for (const key of Object.keys(data ?? {})) {
    if (binaryData && Object.hasOwn(binaryData, key)) {
      out.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
  }
  out.push(...validateKeys(binaryData, 'binaryData'));
  if (bytesOf(data, false) + bytesOf(binaryData, true) > MAX_BYTES)
    out.push(tooLong('', MAX_BYTES));
  return out;
}

export function validateConfigMapUpdate(next: ConfigMap, old: ConfigMap): FieldError[] {
  const out: FieldError[] = [];
  const frozen = 'field is immutable when `immutable` is set';
  if (old.immutable) {
    if (!next.immutable) out.push(forbidden('immutable', frozen));
    if (immutable(next.data, old.data, 'data').length) out.push(forbidden('data', frozen));
    if (immutable(next.binaryData, old.binaryData, 'binaryData').length) {
      out.push(forbidden('binaryData', frozen));
    }
  }
  return [...out, ...validateConfigMap(next)];
}

/** The keys that each well-known type of Secret must have. */
const SECRET_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};
const JSON_KEYS = new Set(['.dockercfg', '.dockerconfigjson']);

export function validateSecret({ metadata, type = '', data = {} }: Secret): FieldError[] {
  const out = validateKeys(data, 'data');
  if (bytesOf(data, true) > MAX_BYTES) out.push(tooLong('data', MAX_BYTES));
  if (type === 'kubernetes.io/service-account-token') {
    const name = metadata.annotations?.['kubernetes.io/service-account.name'];
    if (!name) out.push(required('metadata.annotations[kubernetes.io/service-account.name]'));
  }
  if (
    type === 'kubernetes.io/basic-auth' &&
    data.username === undefined &&
    data.password === undefined
  ) {
    out.push(required('data[username]'), required('data[password]'));
  }
  for (const key of SECRET_KEYS[type] ?? []) {
    const field = `data[${key}]`;
    if (!Object.hasOwn(data, key)) out.push(required(field));
    else if (JSON_KEYS.has(key) && !isJson(data[key] ?? '')) {
      out.push(invalid(field, '<secret contents redacted>', 'unexpected end of JSON input'));
    }
  }
  return out;
}

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

export function validateSecretUpdate(next: Secret, old: Secret): FieldError[] {
  const out = immutable(next.type, old.type, 'type');
  if (old.immutable) {
    const frozen = 'field is immutable when `immutable` is set';
    if (!next.immutable) out.push(forbidden('immutable', frozen));
    if (immutable(next.data, old.data, 'data').length) out.push(forbidden('data', frozen));
  }
  return [...out, ...validateSecret(next)];
}

type Subset = NonNullable<Endpoints['subsets']>[number];

export function validateEndpoints(endpoints: Endpoints): FieldError[] {
  return each(endpoints.subsets, 'subsets', (subset, at) => {
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
    const out: FieldError[] = [];
    if (addresses.length + notReadyAddresses.length === 0) {
      out.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
    }
    return [
      ...out,
      ...each(addresses, `${at}.addresses`, validateAddress),
      ...each(notReadyAddresses, `${at}.notReadyAddresses`, validateAddress),
      ...each(ports, `${at}.ports`, (port, where) =>
        validateEndpointPort(port, ports.length > 1, where),
      ),
    ];
  });
}

type Address = NonNullable<Subset['addresses']>[number];

function validateAddress(address: Address, at: string): FieldError[] {
  return [
    ...validateEndpointIp(address.ip, `${at}.ip`),
    ...(address.hostname ? checked(address.hostname, dns1123Label, `${at}.hostname`) : []),
    ...(address.nodeName ? checked(address.nodeName, dns1123Subdomain, `${at}.nodeName`) : []),
  ];
}

/** Addresses that no Pod of the cluster can have may not be reached through a Service either. */
export function validateEndpointIp(ip: string, field: string): FieldError[] {
  const out = validateIp(ip, field);
  if (out.length > 0) return out;
  for (const [pattern, what] of SPECIAL_IPS) {
    if (pattern.test(ip)) out.push(invalid(field, ip, what));
  }
  return out;
}

const SPECIAL_IPS: readonly [RegExp, string][] = [
  [/^(0\.0\.0\.0|::)$/, 'may not be unspecified (0.0.0.0 or ::)'],
  [/^(127\.|::1$)/, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  [/^(169\.254\.|fe[89ab].:)/i, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
  [
    /^(224\.0\.0\.|ff02:)/i,
    'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
  ],
];

function validateEndpointPort(
  port: NonNullable<Subset['ports']>[number],
  needsName: boolean,
  at: string,
): FieldError[] {
  return [
    ...(needsName ? mustBeThere(port.name, `${at}.name`) : []),
    ...(port.name ? checked(port.name, dns1123Label, `${at}.name`) : []),
    ...within(port.port, portNumber(port.port), `${at}.port`),
    ...oneOf(port.protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`),
  ];
}
