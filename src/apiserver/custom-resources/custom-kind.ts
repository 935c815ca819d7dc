import { cannotBeHandled, type Decoded, DecodeError, decodeObject } from '../../api/decode.ts';
import type { Schema } from '../../api/schema.ts';
import type { CustomResourceDefinition, KubeObject } from '../../api/types.ts';
import { isObject, type JsonObject } from '../../util/json.ts';
import type {
  Cell,
  Column,
  CustomParts,
  ResourceKind,
  Strategy,
  Subresource,
} from '../resource-kind.ts';
import { age } from '../resources/cells.ts';
import { ALL_VERBS, statusSubresource } from '../resources/kind.ts';
import { keepAllButStatusAlone, keepStatus, withoutStatus } from '../resources/status.ts';
import type { WebhookClient } from '../webhook-client.ts';
import { webhookConversion } from './conversion.ts';
import { applyDefaults, hasDefaults } from './defaults.ts';
import { embeddedIn, embedsResources } from './embedded.ts';
import { findJsonPath, parseJsonPath } from './json-path.ts';
import type { JsonSchema } from './json-schema.ts';
import { prune } from './prune.ts';
import { ruleChecker } from './rules.ts';
import { validateValue } from './validate.ts';

export type Crd = CustomResourceDefinition;
export type CrdVersion = Crd['spec']['versions'][number];

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

export function schemaOf(version: CrdVersion): JsonSchema {
  const declared = version.schema?.openAPIV3Schema as JsonSchema | undefined;
  return declared ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
}

/** `com.example.v1.Widget`: the name of the kind's definition in OpenAPI. */
export function definitionOf(crd: Crd, version: CrdVersion): string {
  const group = crd.spec.group.split('.').toReversed().join('.');
  return `${group}.${version.name}.${crd.spec.names.kind}`;
}

/** One served version of a CustomResourceDefinition as the server's kind. */
export function customKind(
  crd: Crd,
  version: CrdVersion,
  { builtin, webhooks }: { builtin: Schema; webhooks: WebhookClient },
): ResourceKind {
  const { spec } = crd;
  const schema = schemaOf(version);
  const hasStatus = version.subresources?.status !== undefined;
  const strategy = strategyOf(schema, hasStatus);
  const { group } = spec;
  return {
    group,
    version: version.name,
    resource: spec.names.plural,
    kind: spec.names.kind,
    namespaced: spec.scope === 'Namespaced',
    singular: spec.names.singular ?? spec.names.kind.toLowerCase(),
    shortNames: spec.names.shortNames ?? [],
    categories: spec.names.categories ?? [],
    verbs: ALL_VERBS,
    definition: definitionOf(crd, version),
    storagePrefix: `${group}/${spec.names.plural}`,
    ...(spec.conversion?.strategy === 'Webhook'
      ? { conversion: webhookConversion(crd, version, { schema, webhooks }) }
      : storedAs(crd, version, schema)),
    strategy,
    subresources: subresourcesOf(version, strategy),
    ...tableOf(version),
    ...fieldsOf(version),
    custom: customParts(crd, version, schema, builtin),
  };
}

/** Objects of other versions are stored as the storage version; what is read gets the defaults of today. */
function storedAs(
  crd: Crd,
  version: CrdVersion,
  schema: JsonSchema,
): Pick<ResourceKind, 'storedAs'> {
  const { group, versions } = crd.spec;
  const stored = versions.find(({ storage }) => storage)?.name ?? version.name;
  const isOnlyOne = versions.length === 1 && (crd.status?.storedVersions ?? []).length <= 1;
  if (isOnlyOne && !hasDefaults(schema)) return {};
  const inVersion = (object: KubeObject, name: string) => ({
    ...object,
    apiVersion: `${group}/${name}`,
  });
  return {
    storedAs: {
      group,
      version: stored,
      toStored: (object) => inVersion(object, stored),
      fromStored(object) {
        const served = structuredClone(inVersion(object, version.name));
        applyDefaults(served, schema);
        return served;
      },
    },
  };
}

function strategyOf(schema: JsonSchema, hasStatus: boolean): Strategy {
  const check = ruleChecker(schema);
  const fields = new Set(['spec', ...Object.keys(schema.properties ?? {})]);
  for (const field of ['apiVersion', 'kind', 'metadata']) fields.delete(field);
  if (hasStatus) fields.delete('status');
  const judged = (object: KubeObject, old: KubeObject | undefined) => {
    const errors = validateValue(schema, { value: withoutMeta(object), old, path: '' });
    return errors.length > 0 ? errors : check(object, old);
  };
  return {
    default: (object) => applyDefaults(object, schema),
    ...(hasStatus ? { prepareForCreate: withoutStatus, prepareForUpdate: keepStatus } : {}),
    validate: (object) => judged(object, undefined),
    validateUpdate: (object, old) => judged(object, old),
    requireResourceVersion: true,
    generationFields: [...fields],
  };
}

/** Metadata is checked as that of any object. */
function withoutMeta(object: KubeObject): JsonObject {
  return { ...object, metadata: {} };
}

function subresourcesOf(version: CrdVersion, strategy: Strategy): Record<string, Subresource> {
  const { status, scale } = version.subresources ?? {};
  const found: Record<string, Subresource> = {};
  if (status) {
    const { prepareForCreate: _, ...rest } = strategy;
    const own = { ...rest, prepareForUpdate: keepAllButStatusAlone };
    found.status = statusSubresource(own, ['metadata']);
  }
  if (scale) {
    const selector = parseJsonPath(scale.labelSelectorPath ?? '');
    found.scale = {
      type: 'scale',
      replicasPath: scale.specReplicasPath.split('.').slice(1),
      statusReplicasPath: scale.statusReplicasPath.split('.').slice(1),
      selectorOf: (object) =>
        scale.labelSelectorPath && selector ? String(findJsonPath(selector, object)[0] ?? '') : '',
    };
  }
  return found;
}

const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
};

type PrinterColumn = NonNullable<CrdVersion['additionalPrinterColumns']>[number];

const AGE: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

function tableOf(version: CrdVersion): Pick<ResourceKind, 'columns' | 'row'> {
  const declared = version.additionalPrinterColumns ?? [AGE];
  const columns = declared.map((column) => ({
    path: parseJsonPath(column.jsonPath),
    column: columnOf(column),
  }));
  return {
    columns: [NAME, ...columns.map(({ column }) => column)],
    row: (object, now) => [
      object.metadata.name ?? '',
      ...columns.map(({ path, column }) =>
        cellOf(column.type, path ? findJsonPath(path, object) : [], now),
      ),
    ],
  };
}

function columnOf(column: PrinterColumn): Column {
  const { name, jsonPath, format, priority } = column;
  return {
    name,
    type: column.type as Column['type'],
    ...(format ? { format } : {}),
    description:
      column.description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: priority ? 1 : 0,
  };
}

function cellOf(type: Column['type'], found: readonly unknown[], now: number): Cell {
  const [first] = found;
  if (first === undefined || first === null) return null;
  switch (type) {
    case 'integer':
    case 'number':
      return typeof first === 'number' || typeof first === 'bigint' ? first : null;
    case 'boolean':
      return typeof first === 'boolean' ? first : null;
    case 'date':
      return age(typeof first === 'string' ? first : undefined, now);
    default:
      return found.map((v) => (typeof v === 'string' ? v : JSON.stringify(v))).join(' ');
  }
}

function fieldsOf(version: CrdVersion): Pick<ResourceKind, 'fieldsOf'> {
  const fields = (version.selectableFields ?? []).map(({ jsonPath }) => ({
    name: jsonPath.replace(/^\./, ''),
    path: parseJsonPath(jsonPath) ?? [],
  }));
  if (fields.length === 0) return {};
  return {
    fieldsOf: (object) =>
      Object.fromEntries(
        fields.map(({ name, path }) => [name, String(findJsonPath(path, object)[0] ?? '')]),
      ),
  };
}

function customParts(
  crd: Crd,
  version: CrdVersion,
  schema: JsonSchema,
  builtin: Schema,
): CustomParts {
  const type = { version: version.name, kind: crd.spec.names.kind };
  const embeds = embedsResources(schema);
  return {
    decode(data) {
      const unknown: string[] = [];
      const pruned: string[] = [];
      const object = prune(data, schema, pruned) as JsonObject;
      const keepMetadata = (of: JsonObject, metadata: unknown, at: string) => {
        if (!isObject(metadata)) throw cannotBeHandled(type, [`${at} must be an object`]);
        const decoded = decodeMetadata(metadata, builtin, type);
        of.metadata = decoded.object;
        unknown.push(
          ...decoded.unknown.map((text) => text.replace(/^unknown field "(.*)"$/, `${at}.$1`)),
        );
      };
      keepMetadata(object, data.metadata ?? {}, 'metadata');
      unknown.push(...pruned.sort());
      if (embeds) {
        for (const { object: inner, at } of embeddedIn(object, schema)) {
          const { metadata } = inner;
          if (metadata !== undefined) keepMetadata(inner, metadata, `${at}.metadata`);
        }
      }
      return {
        object: object as KubeObject,
        unknown: unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
      };
    },
    openApi: schema as JsonObject,
  };
}

function decodeMetadata(
  metadata: JsonObject,
  builtin: Schema,
  type: { version: string; kind: string },
): Decoded {
  try {
    return decodeObject(metadata, { schema: builtin, definition: OBJECT_META });
  } catch (err) {
    if (err instanceof DecodeError) throw cannotBeHandled(type, [err.message]);
    throw err;
  }
}
