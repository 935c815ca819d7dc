import { formatLabelSelector } from '../../../api/labels.ts';
import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import { STATEFUL_SETS } from '../../../api/resource-types.ts';
import type { StatefulSet } from '../../../api/types.ts';
import { age } from '../cells.ts';
import {
  AGE_COLUMN,
  column,
  defineKind,
  NAME_COLUMN,
  scaleSubresource,
  withStatus,
} from '../kind.ts';
import { TEMPLATE_COLUMNS, templateCells } from '../pod-spec/template-columns.ts';
import {
  validateStatefulSet,
  validateStatefulSetStatus,
  validateStatefulSetUpdate,
} from './workload-validation.ts';

function defaultStatefulSet({ spec }: StatefulSet): void {
  if (!spec) return;
  spec.podManagementPolicy ??= 'OrderedReady';
  spec.updateStrategy ??= {};
  if (!spec.updateStrategy.type) {
    spec.updateStrategy.type = 'RollingUpdate';
    spec.updateStrategy.rollingUpdate ??= {};
  }
  const rolling = spec.updateStrategy.rollingUpdate;
  if (spec.updateStrategy.type === 'RollingUpdate' && rolling) rolling.partition ??= 0;
  spec.persistentVolumeClaimRetentionPolicy ??= {};
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ??= 'Retain';
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ??= 'Retain';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  defaultPodTemplate(spec.template);
  for (const claim of spec.volumeClaimTemplates ?? []) {
    // Templates carry a type and a phase, as upstream's encoder writes them.
    claim.apiVersion ??= 'v1';
    claim.kind ??= 'PersistentVolumeClaim';
    claim.status ??= { phase: 'Pending' };
    if (claim.spec) claim.spec.volumeMode ??= 'Filesystem';
  }
}

const base = withStatus<StatefulSet>({
  default: defaultStatefulSet,
  prepareForCreate(set) {
    set.status = { replicas: 0, availableReplicas: 0 };
  },
  validate: validateStatefulSet,
  validateUpdate: validateStatefulSetUpdate,
  validateStatus: validateStatefulSetStatus,
  generationFields: ['spec'],
});

export const statefulSetKind = defineKind<StatefulSet>({
  type: STATEFUL_SETS,
  shortNames: ['sts'],
  categories: ['all'],
  strategy: base.strategy,
  subresources: {
    ...base.subresources,
    scale: scaleSubresource((object) =>
      formatLabelSelector((object as unknown as StatefulSet).spec?.selector ?? {}),
    ),
  },
  columns: [
    NAME_COLUMN,
    column('Ready', 'Replicas that are ready, of those wanted.'),
    AGE_COLUMN,
    ...TEMPLATE_COLUMNS,
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    age(metadata.creationTimestamp, now),
    ...templateCells(spec?.template),
  ],
});
