import { X509Certificate } from 'node:crypto';
import { type FieldError, invalid, tooLong } from '../../../api/field-errors.ts';
import type { ClusterTrustBundle } from '../../../api/types.ts';
import { immutable } from '../validation.ts';
import { validateSigner } from './validation.ts';

const MAX_BYTES = 1024 * 1024;
const BUNDLE = 'spec.trustBundle';
// What a bundle holds is long; upstream does not repeat it either.
const OMITTED = '<value omitted>';
const BLOCK = /-----BEGIN ([^\n-]*)-----\r?\n([\s\S]*?)-----END \1-----/g;

export function validateTrustBundle({ metadata, spec }: ClusterTrustBundle): FieldError[] {
  const { signerName = '', trustBundle } = spec;
  return [
    ...validateName(metadata.name, signerName),
    ...(signerName === '' ? [] : validateSigner(signerName)),
    ...validateAnchors(trustBundle),
  ];
}

export function validateTrustBundleUpdate(
  next: ClusterTrustBundle,
  old: ClusterTrustBundle,
): FieldError[] {
  const signers = [next.spec.signerName ?? '', old.spec.signerName ?? ''] as const;
  return [...validateTrustBundle(next), ...immutable(...signers, 'spec.signerName')];
}

function validateName(name = '', signerName: string): FieldError[] {
  if (signerName === '') {
    if (!name.includes(':')) return [];
    const detail = 'ClusterTrustBundle without signer name must not have ":" in its name';
    return [invalid('metadata.name', name, detail)];
  }
  const prefix = `${signerName.replaceAll('/', ':')}:`;
  if (name.startsWith(prefix) && !name.slice(prefix.length).includes(':')) return [];
  const detail = `ClusterTrustBundle for signerName ${signerName} must be named with prefix ${prefix}`;
  return [invalid('metadata.name', name, detail)];
}

function validateAnchors(bundle = ''): FieldError[] {
  if (Buffer.byteLength(bundle) > MAX_BYTES) return [tooLong(BUNDLE, MAX_BYTES)];
  const out: FieldError[] = [];
  const seen = new Map<string, number[]>();
  let index = 0;
  for (const [block, type = '', body = ''] of bundle.matchAll(BLOCK)) {
    const fault = faultOf(block, type, body);
    if (fault === undefined) {
      const key = body.replace(/\s/g, '');
      seen.set(key, [...(seen.get(key) ?? []), index]);
    } else out.push(invalid(BUNDLE, OMITTED, `entry ${index} ${fault}`));
    index++;
  }
  if (index === 0) {
    return [invalid(BUNDLE, OMITTED, 'at least one trust anchor must be provided')];
  }
  for (const indices of seen.values()) {
    if (indices.length === 1) continue;
    out.push(invalid(BUNDLE, OMITTED, `duplicate trust anchor (indices [${indices.join(' ')}])`));
  }
  return out;
}

function faultOf(block: string, type: string, body: string): string | undefined {
  if (type !== 'CERTIFICATE') return `has bad block type: ${type}`;
  if (body.includes(':')) return 'has PEM block headers';
  try {
    new X509Certificate(block);
    return undefined;
  } catch (err) {
    return `does not parse as a X.509 certificate: ${(err as Error).message}`;
  }
}
