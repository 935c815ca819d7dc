import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import { POD_TEMPLATES } from '../../../api/resource-types.ts';
import type { PodTemplate } from '../../../api/types.ts';
import { formatLabels } from '../cells.ts';
import { column, defineKind, NAME_COLUMN } from '../kind.ts';
import { templateCells } from '../pod-spec/template-columns.ts';
import { validateTemplate } from './controller-validation.ts';

export const podTemplateKind = defineKind<PodTemplate>({
  type: POD_TEMPLATES,
  strategy: {
    default: ({ template }) => defaultPodTemplate(template),
    validate: validateTemplate,
    validateUpdate: validateTemplate,
    generationFields: ['template'],
  },
  columns: [
    NAME_COLUMN,
    column('Containers', 'Names of the containers in the template.'),
    column('Images', 'Images of the containers in the template.'),
    column('Pod Labels', 'Labels that its Pods get.'),
  ],
  row: ({ metadata, template }) => [
    metadata.name,
    ...templateCells(template),
    formatLabels(template?.metadata?.labels),
  ],
});
