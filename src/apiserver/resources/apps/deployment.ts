import { formatLabelSelector } from '../../../api/labels.ts';
import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import { DEPLOYMENTS } from '../../../api/resource-types.ts';
import type { Deployment } from '../../../api/types.ts';
import { age, containerImages, containerNames, formatSelector } from '../cells.ts';
import {
  AGE_COLUMN,
  column,
  defineKind,
  NAME_COLUMN,
  scaleSubresource,
  statusSubresource,
} from '../kind.ts';
import { keepAllButStatus, keepStatus, withoutStatus } from '../status.ts';
import {
  validateDeployment,
  validateDeploymentStatus,
  validateDeploymentUpdate,
} from './workload-validation.ts';

function defaultDeployment({ spec }: Deployment): void {
  if (!spec) return;
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  spec.strategy ??= {};
  spec.strategy.type ??= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
    spec.strategy.rollingUpdate.maxSurge ??= '25%';
  }
  defaultPodTemplate(spec.template);
}

export const deploymentKind = defineKind<Deployment>({
  type: DEPLOYMENTS,
  shortNames: ['deploy'],
  categories: ['all'],
  strategy: {
    default: defaultDeployment,
    prepareForCreate: withoutStatus,
    prepareForUpdate: keepStatus,
    validate: validateDeployment,
    validateUpdate: validateDeploymentUpdate,
    generationFields: ['spec'],
  },
  subresources: {
    scale: scaleSubresource((object) =>
      formatLabelSelector((object as unknown as Deployment).spec?.selector ?? {}),
    ),
    status: statusSubresource<Deployment>({
      prepareForUpdate(deployment, old) {
        keepAllButStatus(deployment, old);
        if (old.metadata.labels) deployment.metadata.labels = structuredClone(old.metadata.labels);
        else delete deployment.metadata.labels;
      },
      validateUpdate: validateDeploymentStatus,
    }),
  },
  columns: [
    NAME_COLUMN,
    column('Ready', 'Replicas that are ready, of those wanted.'),
    column('Up-to-date', 'Replicas of the newest template.'),
    column('Available', 'Replicas that have been ready long enough.'),
    AGE_COLUMN,
    column('Containers', 'Names of the containers in the template.', { wide: true }),
    column('Images', 'Images of the containers in the template.', { wide: true }),
    column('Selector', 'Labels of its Pods.', { wide: true }),
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    status?.updatedReplicas ?? 0,
    status?.availableReplicas ?? 0,
    age(metadata.creationTimestamp, now),
    containerNames(spec?.template.spec?.containers),
    containerImages(spec?.template.spec?.containers),
    formatSelector(spec?.selector),
  ],
});
