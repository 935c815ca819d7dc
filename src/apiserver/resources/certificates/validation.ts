import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { dns1123Subdomain } from '../../../api/names.ts';
import type { CertificateSigningRequest } from '../../../api/types.ts';
import { checked, each, mustBeThere, oneOf, repeated } from '../validation.ts';

type Csr = CertificateSigningRequest;

const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
const MIN_SECONDS = 600;
const MAX_SIGNER = 571;
const LEGACY_SIGNER = 'kubernetes.io/legacy-unknown';

export function validateCsr({ spec }: Csr): FieldError[] {
  const out = mustBeThere(spec.usages, 'spec.usages', 'usages is required');
  const doubles = repeated(spec.usages ?? [], (usage) => usage);
  out.push(
    ...validateRequest(spec.request),
    ...each(spec.usages, 'spec.usages', (usage, at, index) => [
      ...oneOf(usage, USAGES, at),
      ...(doubles.has(index) ? [duplicate(at, usage)] : []),
    ]),
    ...validateSigner(spec.signerName),
  );
  const seconds = spec.expirationSeconds;
  if (seconds !== undefined && seconds < MIN_SECONDS) {
    out.push(
      invalid(
        'spec.expirationSeconds',
        seconds,
        'may not specify a duration less than 600 seconds (10 minutes)',
      ),
    );
  }
  return out;
}

function validateRequest(request: string): FieldError[] {
  const pem = Buffer.from(request, 'base64').toString('latin1');
  if (/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(pem)) return [];
  return [invalid('spec.request', request, 'PEM block type must be CERTIFICATE REQUEST')];
}

/** `domain/path` */
export function validateSigner(signer: string): FieldError[] {
  const field = 'spec.signerName';
  if (signer === '') return [required(field)];
  if (signer === LEGACY_SIGNER) {
    return [invalid(field, signer, 'the legacy signerName is not allowed via this API version')];
  }
  const slash = signer.indexOf('/');
  const [domain, path] = [signer.slice(0, Math.max(slash, 0)), signer.slice(slash + 1)];
  if (slash < 0 || path === '' || path.includes('/')) {
    const detail =
      "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalid(field, signer, detail)];
  }
  const out = checked(domain, dns1123Subdomain, field);
  if (domain.split('.').length < 2) {
    out.push(
      invalid(field, domain, 'should be a domain with at least two segments separated by dots'),
    );
  }
  if (signer.length > MAX_SIGNER) {
    const message = `Too long: may not be more than ${MAX_SIGNER} bytes`;
    out.push({ type: 'FieldValueTooLong', field, message });
  }
  return out;
}

type Condition = NonNullable<NonNullable<Csr['status']>['conditions']>[number];
const DECISIONS = ['Approved', 'Denied', 'Failed'];

/** Decisions are final, one at a time, and never both ways. */
export function validateConditionsUpdate(next: Csr, old: Csr): FieldError[] {
  const at = 'status.conditions';
  const conditions = next.status?.conditions ?? [];
  const doubles = repeated(conditions, (condition) => condition.type);
  const out = each(conditions, at, (condition, where, index) => [
    ...mustBeThere(condition.type, `${where}.type`),
    ...oneOf(condition.status, ['False', 'True', 'Unknown'], `${where}.status`),
    ...(DECISIONS.includes(condition.type) && condition.status !== 'True'
      ? [
          invalid(
            `${where}.status`,
            condition.status,
            `${condition.type} condition may only be set to "True"`,
          ),
        ]
      : []),
    ...(doubles.has(index) ? [duplicate(`${where}.type`, condition.type)] : []),
  ]);
  const has = (type: string) => conditions.some((condition) => condition.type === type);
  if (has('Approved') && has('Denied')) {
    out.push(invalid(at, 'Denied', 'Approved and Denied conditions are mutually exclusive'));
  }
  const kept = (was: Condition) => conditions.some((now) => now.type === was.type);
  for (const was of old.status?.conditions ?? []) {
    if (!DECISIONS.includes(was.type) || kept(was)) continue;
    out.push(
      forbidden(at, `updates may not remove a condition of type ${JSON.stringify(was.type)}`),
    );
  }
  return out;
}

export function validateStatusUpdate(next: Csr, old: Csr): FieldError[] {
  const out = validateConditionsUpdate(next, old);
  const has = ({ status }: Csr, type: string) => status?.conditions?.some((c) => c.type === type);
  for (const type of ['Approved', 'Denied']) {
    if (!has(next, type) || has(old, type)) continue;
    const detail = `updates may not add a condition of type ${JSON.stringify(type)}`;
    out.push(forbidden('status.conditions', detail));
  }
  const [certificate, was] = [next.status?.certificate, old.status?.certificate];
  const field = 'status.certificate';
  if (was && certificate !== was) {
    out.push(forbidden(field, 'updates may not change certificate content once set'));
  } else if (certificate && certificate !== was) out.push(...validateCertificate(certificate));
  return out;
}

function validateCertificate(certificate: string): FieldError[] {
  const pem = Buffer.from(certificate, 'base64').toString('latin1');
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return [];
  const detail = 'must contain at least one CERTIFICATE PEM block';
  return [invalid('status.certificate', '<certificate data>', detail)];
}
