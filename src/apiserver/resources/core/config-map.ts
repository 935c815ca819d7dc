import { CONFIG_MAPS } from '../../../api/resource-types.ts';
import type { ConfigMap } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateConfigMap, validateConfigMapUpdate } from './small-validation.ts';

export const configMapKind = defineKind<ConfigMap>({
  type: CONFIG_MAPS,
  shortNames: ['cm'],
  strategy: { validate: validateConfigMap, validateUpdate: validateConfigMapUpdate },
  columns: [NAME_COLUMN, column('Data', 'How many keys it holds.'), AGE_COLUMN],
  row: ({ metadata, data, binaryData }, now) => [
    metadata.name,
    Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length,
    age(metadata.creationTimestamp, now),
  ],
});
