import { type FieldError, required } from '../../../api/field-errors.ts';
import { STORAGE_VERSION_MIGRATIONS } from '../../../api/system-resource-types.ts';
import type { StorageVersionMigration } from '../../../api/types.ts';
import { defineKind, withStatus } from '../kind.ts';
import { immutable } from '../validation.ts';

export const storageVersionMigrationKind = defineKind<StorageVersionMigration>({
  type: STORAGE_VERSION_MIGRATIONS,
  ...withStatus<StorageVersionMigration>({
    generationFields: ['spec'],
    validate: ({ spec }) => (spec?.resource?.resource ? [] : [required('spec.resource.resource')]),
    validateUpdate: ({ spec }, old) => immutable(spec, old.spec, 'spec'),
    validateStatus,
  }),
});

/** What a migration has begun with stays, and how it has ended is decided once. */
function validateStatus(
  { status: next = {} }: StorageVersionMigration,
  { status: old = {} }: StorageVersionMigration,
): FieldError[] {
  const { resourceVersion } = old;
  return resourceVersion
    ? immutable(next.resourceVersion, resourceVersion, 'status.resourceVersion')
    : [];
}
