import { badRequest } from '../api/errors.ts';
import { invalidObject, notSupported } from '../api/field-errors.ts';
import { validateFieldManager } from '../api/metadata-validation.ts';
import type { Exchange } from './exchange.ts';
import { managerFromUserAgent } from './managed-fields.ts';
import type { WriteContext } from './resource-kind.ts';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** The query parameters of create, update and patch (meta/v1 CreateOptions and the like), checked. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** Who writes, for managedFields: fieldManager, else the first word of the User-Agent. */
  readonly fieldManager: string;
  readonly force: boolean;
}

const VALIDATIONS = ['Ignore', 'Warn', 'Strict'];

export function parseWriteOptions({ query, req }: Exchange, kind: string): WriteOptions {
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  const errors = validateFieldManager(query.get('fieldManager') ?? '', 'fieldManager');
  if (!VALIDATIONS.includes(fieldValidation)) {
    errors.push(notSupported('fieldValidation', fieldValidation, ['', ...VALIDATIONS]));
  }
  if (errors.length > 0) throw invalidObject({ group: 'meta.k8s.io', kind }, '', errors);
  return {
    dryRun: parseDryRun(query.getAll('dryRun'), kind),
    fieldValidation: fieldValidation as FieldValidation,
    fieldManager: query.get('fieldManager') || managerFromUserAgent(req.headers['user-agent']),
    force: query.get('force') === 'true' || query.get('force') === '1',
  };
}

export function parseDryRun(values: readonly string[], kind: string): boolean {
  const given = values.filter((value) => value !== '');
  if (given.length === 0) return false;
  if (given.every((value) => value === 'All')) return true;
  throw invalidObject({ group: 'meta.k8s.io', kind }, '', [notSupported('dryRun', given, ['All'])]);
}

export function writeContext(
  exchange: Exchange,
  { dryRun }: { dryRun: boolean },
  now: number,
): WriteContext {
  const { user, warnings, audit } = exchange;
  return {
    ...{ user, dryRun, now },
    warn: (message) => void warnings.push(message),
    annotate: (key, value) => audit?.annotate(key, value),
  };
}

/** The namespace that an object is to live in: the request's, which the object may repeat but not contradict. */
export function settleNamespace(
  metadata: { namespace?: string },
  requested: string,
  namespaced: boolean,
): void {
  if (!namespaced) {
    if (metadata.namespace) {
      throw badRequest('namespace should not be set on cluster-scoped objects');
    }
    delete metadata.namespace;
    return;
  }
  metadata.namespace ||= requested;
  if (metadata.namespace !== requested) {
    throw badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  }
}
