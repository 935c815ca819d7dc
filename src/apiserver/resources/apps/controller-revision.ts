import { controllerOf } from '../../../api/owner-references.ts';
import { CONTROLLER_REVISIONS } from '../../../api/resource-types.ts';
import type { ControllerRevision } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';

/** `daemonset.apps/agent` */
function controllerText(revision: ControllerRevision): string {
  const owner = controllerOf(revision);
  if (!owner) return '<none>';
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
  return `${`${owner.kind}${group}`.toLowerCase()}/${owner.name}`;
}

export const controllerRevisionKind = defineKind<ControllerRevision>({
  type: CONTROLLER_REVISIONS,
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
