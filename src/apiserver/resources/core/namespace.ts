import { invalid } from '../../../api/field-errors.ts';
import { dns1123Label, nameCheck, qualifiedName } from '../../../api/names.ts';
import { NAMESPACES } from '../../../api/resource-types.ts';
import type { Namespace } from '../../../api/types.ts';
import { age } from '../cells.ts';
import {
  AGE_COLUMN,
  ALL_VERBS,
  column,
  connectSubresource,
  defineKind,
  NAME_COLUMN,
  statusSubresource,
} from '../kind.ts';
import { keepAllButStatus, keepStatus } from '../status.ts';
import { checked, each } from '../validation.ts';

const STANDARD_FINALIZERS = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);
const UNQUALIFIED_FINALIZER = 'name is neither a standard finalizer name nor is it fully qualified';
const FINALIZER = 'kubernetes';

export const namespaceKind = defineKind<Namespace>({
  type: NAMESPACES,
  shortNames: ['ns'],
  verbs: ALL_VERBS.filter((verb) => verb !== 'deletecollection'),
  strategy: {
    default(namespace) {
      namespace.status ??= {};
      namespace.status.phase ??= 'Active';
      labelWithName(namespace);
    },
    prepareForCreate(namespace) {
      labelWithName(namespace);
      namespace.status = { phase: 'Active' };
      namespace.spec ??= {};
      const finalizers = namespace.spec.finalizers ?? [];
      if (!finalizers.includes(FINALIZER)) finalizers.push(FINALIZER);
      namespace.spec.finalizers = finalizers;
    },
    validateName: nameCheck(dns1123Label),
    validate: ({ spec }) =>
      each(spec?.finalizers, 'spec.finalizers', (name) => [
        ...checked(name, qualifiedName, 'spec.finalizers'),
        ...(name.includes('/') || STANDARD_FINALIZERS.has(name)
          ? []
          : [invalid('spec.finalizers', name, UNQUALIFIED_FINALIZER)]),
      ]),
    prepareForUpdate(namespace, old) {
      keepStatus(namespace, old);
      // Only `finalize` takes these away.
      namespace.spec = { ...namespace.spec, finalizers: [...(old.spec?.finalizers ?? [])] };
    },
  },
  subresources: {
    finalize: connectSubresource('Namespace', ['update']),
    status: statusSubresource<Namespace>({ prepareForUpdate: keepAllButStatus }),
  },
  columns: [NAME_COLUMN, column('Status', 'Active, or Terminating while it empties.'), AGE_COLUMN],
  row: ({ metadata, status }, now) => [
    metadata.name,
    status?.phase ?? '',
    age(metadata.creationTimestamp, now),
  ],
  fieldsOf: ({ metadata, status }) => ({
    name: metadata.name ?? '',
    'status.phase': status?.phase ?? '',
  }),
});

/** Policies select namespaces by this label, so nobody may choose another value for it. A name may be the server's work. */
function labelWithName({ metadata }: Namespace): void {
  const { name, labels } = metadata;
  if (name) metadata.labels = { ...labels, 'kubernetes.io/metadata.name': name };
}
