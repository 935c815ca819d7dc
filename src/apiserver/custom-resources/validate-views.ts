import { type FieldError, invalid, required } from '../../api/field-errors.ts';
import type { CrdVersion } from './custom-kind.ts';
import { parseJsonPath } from './json-path.ts';
import type { JsonSchema } from './json-schema.ts';
import { schemaAt } from './unsupported.ts';

const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];
const COLUMN_FORMATS = [
  'byte',
  'date',
  'date-time',
  'double',
  'float',
  'int32',
  'int64',
  'password',
];
const SELECTABLE = ['boolean', 'integer', 'string'];

/** What is wrong with the ways to look at objects: columns, scale, fields to select by. */
export function validateViews(version: CrdVersion, schema: JsonSchema, path: string): FieldError[] {
  return [
    ...(version.additionalPrinterColumns ?? []).flatMap((column, i) =>
      validateColumn(column, `${path}.additionalPrinterColumns[${i}]`),
    ),
    ...validateScale(version, `${path}.subresources.scale`),
    ...(version.selectableFields ?? []).flatMap(({ jsonPath }, i) =>
      validateSelectable(jsonPath, schema, `${path}.selectableFields[${i}].jsonPath`),
    ),
  ];
}

type Column = NonNullable<CrdVersion['additionalPrinterColumns']>[number];

function validateColumn({ name, type, format, jsonPath }: Column, at: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!name) errors.push(required(`${at}.name`));
  const types = `must be one of ${COLUMN_TYPES.join(',')}`;
  if (!type) errors.push(required(`${at}.type`, types));
  else if (!COLUMN_TYPES.includes(type)) errors.push(invalid(`${at}.type`, type, types));
  if (format && !COLUMN_FORMATS.includes(format)) {
    const formats = `must be one of ${COLUMN_FORMATS.join(',')}`;
    errors.push(invalid(`${at}.format`, format, formats));
  }
  if (!jsonPath) errors.push(required(`${at}.jsonPath`));
  else if (!jsonPath.startsWith('.')) errors.push(noPath(`${at}.jsonPath`, jsonPath));
  else if (parseJsonPath(jsonPath) === undefined) {
    errors.push(invalid(`${at}.jsonPath`, jsonPath, 'is invalid'));
  }
  return errors;
}

function noPath(field: string, path: string): FieldError {
  return invalid(field, path, 'must be a simple json path starting with .');
}

function validateScale({ subresources }: CrdVersion, at: string): FieldError[] {
  const scale = subresources?.scale;
  if (!scale) return [];
  return [
    ...placed(scale.specReplicasPath, ['.spec.'], `${at}.specReplicasPath`),
    ...placed(scale.statusReplicasPath, ['.status.'], `${at}.statusReplicasPath`),
    ...(scale.labelSelectorPath
      ? placed(scale.labelSelectorPath, ['.spec.', '.status.'], `${at}.labelSelectorPath`)
      : []),
  ];
}

/** A path that starts in one of these places. */
function placed(path: string, starts: readonly string[], field: string): FieldError[] {
  if (!path) return [required(field)];
  if (!path.startsWith('.')) return [noPath(field, path)];
  if (starts.some((start) => path.startsWith(start))) return [];
  const places = starts.map((start) => start.slice(0, -1)).join(' or ');
  return [invalid(field, path, `should be a json path under ${places}`)];
}

function validateSelectable(jsonPath: string, schema: JsonSchema, field: string): FieldError[] {
  if (!/^(\.[A-Za-z0-9_-]+)+$/.test(jsonPath))
    return [invalid(field, jsonPath, 'is an invalid path')];
  const found = schemaAt(schema, jsonPath);
  if (!found) {
    return [invalid(field, jsonPath, 'is an invalid path: does not refer to a valid field')];
  }
  if (SELECTABLE.includes(found.type ?? '')) return [];
  const detail =
    'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.';
  return [invalid(field, jsonPath, detail)];
}
