import { type FieldError, invalid, required } from '../../../api/field-errors.ts';
import { controllerOf } from '../../../api/owner-references.ts';
import { CONTROLLER_REVISIONS } from '../../../api/resource-types.ts';
import type { ControllerRevision } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { immutable } from '../validation.ts';

/** `daemonset.apps/agent` */
function controllerText(revision: ControllerRevision): string {
  const owner = controllerOf(revision);
  if (!owner) return '<none>';
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
  return `${`${owner.kind}${group}`.toLowerCase()}/${owner.name}`;
}

function validateRevision({ data, revision }: ControllerRevision): FieldError[] {
  const out: FieldError[] = [];
  if (data === undefined) out.push(required('data', 'data is mandatory'));
  if (revision < 0) {
    out.push(invalid('revision', revision, 'must be greater than or equal to 0'));
  }
  return out;
}

export const controllerRevisionKind = defineKind<ControllerRevision>({
  type: CONTROLLER_REVISIONS,
  strategy: {
    validate: validateRevision,
    validateUpdate: (next, old) => [
      ...validateRevision(next),
      ...immutable(next.data, old.data, 'data'),
    ],
  },
  columns: [
    NAME_COLUMN,
    column('Controller', 'Object whose revision it is.'),
    column('Revision', 'Number of the revision.'),
    AGE_COLUMN,
  ],
  row: (revision, now) => [
    revision.metadata.name,
    controllerText(revision),
    revision.revision,
    age(revision.metadata.creationTimestamp, now),
  ],
});
