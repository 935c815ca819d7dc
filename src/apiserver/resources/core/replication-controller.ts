import { formatSelector, fromMap } from '../../../api/labels.ts';
import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import { REPLICATION_CONTROLLERS } from '../../../api/resource-types.ts';
import type { ReplicationController } from '../../../api/types.ts';
import { age, formatLabels } from '../cells.ts';
import {
  AGE_COLUMN,
  column,
  defineKind,
  NAME_COLUMN,
  scaleSubresource,
  withStatus,
} from '../kind.ts';
import { SELECTOR_COLUMN, TEMPLATE_COLUMNS, templateCells } from '../pod-spec/template-columns.ts';
import { keepStatus } from '../status.ts';
import { validateController } from './controller-validation.ts';

function defaultController(controller: ReplicationController): void {
  const { spec, metadata } = controller;
  if (!spec) return;
  const labels = spec.template?.metadata?.labels;
  // The oldest workload kind takes its selector and its own labels from its template.
  if (labels && !spec.selector) spec.selector = { ...labels };
  if (labels && !metadata.labels) metadata.labels = { ...labels };
  spec.replicas ??= 1;
  defaultPodTemplate(spec.template);
}

const base = withStatus<ReplicationController>({
  default: defaultController,
  prepareForCreate(controller) {
    controller.status = { replicas: 0 };
  },
  prepareForUpdate: keepStatus,
  validate: validateController,
  validateUpdate: validateController,
  generationFields: ['spec'],
});

export const replicationControllerKind = defineKind<ReplicationController>({
  type: REPLICATION_CONTROLLERS,
  shortNames: ['rc'],
  categories: ['all'],
  storagePrefix: 'controllers',
  strategy: base.strategy,
  subresources: {
    ...base.subresources,
    scale: scaleSubresource((object) =>
      formatSelector(fromMap((object as unknown as ReplicationController).spec?.selector)),
    ),
  },
  columns: [
    NAME_COLUMN,
    column('Desired', 'Replicas wanted.', { type: 'integer' }),
    column('Current', 'Replicas that exist.', { type: 'integer' }),
    column('Ready', 'Replicas that are ready.', { type: 'integer' }),
    AGE_COLUMN,
    ...TEMPLATE_COLUMNS,
    SELECTOR_COLUMN,
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    spec?.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    age(metadata.creationTimestamp, now),
    ...templateCells(spec?.template),
    formatLabels(spec?.selector),
  ],
  fieldsOf: ({ status }) => ({ 'status.replicas': String(status?.replicas ?? 0) }),
});
