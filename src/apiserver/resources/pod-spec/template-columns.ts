import type { PodTemplateSpec } from '../../../api/types.ts';
import { containerImages, containerNames } from '../cells.ts';
import { column } from '../kind.ts';

/** The wide columns that every kind with a Pod template shows. */
export const TEMPLATE_COLUMNS = [
  column('Containers', 'Names of the containers in the template.', { wide: true }),
  column('Images', 'Images of the containers in the template.', { wide: true }),
];
export const SELECTOR_COLUMN = column('Selector', 'Labels of its Pods.', { wide: true });

export function templateCells(template: PodTemplateSpec | undefined): [string, string] {
  const containers = template?.spec?.containers;
  return [containerNames(containers), containerImages(containers)];
}
