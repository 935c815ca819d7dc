import type { Schema } from '../../api/schema.ts';
import type { JsonObject } from '../../util/json.ts';
import { compareText } from '../api-groups.ts';
import type { GroupVersionKind } from '../discovery-groups.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { customSchema, listSchema } from './custom-schemas.ts';
import { definitionSchema, type Edition, referredNames, specialDefinition } from './schemas.ts';

/** Makes the schema of any definition, and finds which ones a document needs. */
export class DefinitionSource {
  readonly #schema: Schema;
  readonly #kindsOf = new Map<string, GroupVersionKind[]>();
  readonly #custom = new Map<string, JsonObject>();

  constructor(schema: Schema, kinds: readonly ResourceKind[]) {
    this.#schema = schema;
    for (const { group, version, kind, definition, custom } of kinds) {
      if (custom) this.#addCustom(definition, custom.openApi);
      this.#kindsOf.set(definition, [{ group, version, kind }]);
      this.#kindsOf.set(`${definition}List`, [{ group, version, kind: `${kind}List` }]);
    }
    for (const [definition, of] of FURTHER_KINDS) this.#kindsOf.set(definition, [of]);
  }

  /** All definitions that `node` refers to, directly or not, by name in alphabetical order. */
  reachableFrom(node: unknown, edition: Edition): JsonObject {
    const found = new Map<string, JsonObject>();
    let wanted = referredNames(node);
    while (wanted.size > 0) {
      const next = new Set<string>();
      for (const name of wanted) {
        if (found.has(name)) continue;
        const schema = this.#make(name, edition);
        found.set(name, schema);
        referredNames(schema, next);
      }
      wanted = next;
    }
    return Object.fromEntries([...found].toSorted(([a], [b]) => compareText(a, b)));
  }

  #addCustom(definition: string, openApi: JsonObject): void {
    this.#custom.set(definition, openApi);
    this.#custom.set(`${definition}List`, listSchema(definition));
  }

  /** apiVersion and kind as the built-in kinds describe them. */
  #head(edition: Edition): JsonObject {
    const any = this.#schema.definition('io.k8s.api.core.v1.ConfigMap');
    const { properties } = any ? definitionSchema(any, [], edition) : {};
    const { apiVersion, kind } = (properties ?? {}) as JsonObject;
    return { apiVersion, kind };
  }

  #make(name: string, edition: Edition): JsonObject {
    const special = specialDefinition(name, edition);
    if (special) return special;
    const custom = this.#custom.get(name);
    if (custom) {
      const kinds = this.#kindsOf.get(name) ?? [];
      return customSchema(custom, { kinds, head: this.#head(edition) }, edition);
    }
    const definition = this.#schema.definition(name);
    if (definition) return definitionSchema(definition, this.#kindsOf.get(name) ?? [], edition);
    return { type: 'object' };
  }
}

/** Kinds that are no resource of their own but travel as bodies. */
const FURTHER_KINDS: readonly (readonly [string, GroupVersionKind])[] = [
  ['io.k8s.api.autoscaling.v1.Scale', { group: 'autoscaling', version: 'v1', kind: 'Scale' }],
  ['io.k8s.apimachinery.pkg.apis.meta.v1.Status', { group: '', version: 'v1', kind: 'Status' }],
  [
    'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
    { group: '', version: 'v1', kind: 'DeleteOptions' },
  ],
];
