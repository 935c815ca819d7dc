import { formatLabelSelector } from '../../../api/labels.ts';
import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import { REPLICA_SETS } from '../../../api/resource-types.ts';
import type { ReplicaSet } from '../../../api/types.ts';
import { age, containerImages, containerNames, formatSelector } from '../cells.ts';
import {
  AGE_COLUMN,
  column,
  defineKind,
  NAME_COLUMN,
  scaleSubresource,
  statusSubresource,
} from '../kind.ts';
import { keepAllButStatus, keepStatus } from '../status.ts';
import {
  validateReplicaSet,
  validateReplicaSetStatus,
  validateReplicaSetUpdate,
} from './workload-validation.ts';

export const replicaSetKind = defineKind<ReplicaSet>({
  type: REPLICA_SETS,
  shortNames: ['rs'],
  categories: ['all'],
  strategy: {
    default({ spec }) {
      if (!spec) return;
      spec.replicas ??= 1;
      defaultPodTemplate(spec.template);
    },
    prepareForCreate(replicaSet) {
      replicaSet.status = { replicas: 0 };
    },
    prepareForUpdate: keepStatus,
    validate: validateReplicaSet,
    validateUpdate: validateReplicaSetUpdate,
    generationFields: ['spec'],
  },
  subresources: {
    scale: scaleSubresource((object) =>
      formatLabelSelector((object as unknown as ReplicaSet).spec?.selector ?? {}),
    ),
    status: statusSubresource<ReplicaSet>({
      prepareForUpdate: keepAllButStatus,
      validateUpdate: validateReplicaSetStatus,
    }),
  },
  columns: [
    NAME_COLUMN,
    column('Desired', 'Replicas wanted.', { type: 'integer' }),
    column('Current', 'Replicas that exist.', { type: 'integer' }),
    column('Ready', 'Replicas that are ready.', { type: 'integer' }),
    AGE_COLUMN,
    column('Containers', 'Names of the containers in the template.', { wide: true }),
    column('Images', 'Images of the containers in the template.', { wide: true }),
    column('Selector', 'Labels of its Pods.', { wide: true }),
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    spec?.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    age(metadata.creationTimestamp, now),
    containerNames(spec?.template?.spec?.containers),
    containerImages(spec?.template?.spec?.containers),
    formatSelector(spec?.selector),
  ],
  fieldsOf: ({ status }) => ({ 'status.replicas': String(status?.replicas ?? 0) }),
});
