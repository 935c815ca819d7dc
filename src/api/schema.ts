/** What a field holds. `any` is free-form JSON; `object` names another definition. */
export type TypeRef =
  | { readonly kind: 'string' | 'boolean' | 'int32' | 'int64' | 'double' | 'bytes' }
  | { readonly kind: 'intOrString' | 'quantity' | 'time' | 'microTime' | 'any' }
  | { readonly kind: 'array' | 'map'; readonly of: TypeRef }
  | { readonly kind: 'object'; readonly name: string };

/** One field of a definition, with what merging needs to know of it. */
export interface Field {
  readonly type: TypeRef;
  readonly description: string;
  readonly required: boolean;
  /** Server-side apply: how lists and maps are owned. Absent: lists atomic, maps granular. */
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
  /** Strategic merge patch: `merge`, `replace`, `retainKeys` or a comma-joined pair; and the key of a merged list. */
  readonly patchStrategy?: string;
  readonly patchMergeKey?: string;
}

/** An object type, named as the OpenAPI document names it: `io.k8s.api.core.v1.Pod`. */
export interface Definition {
  readonly name: string;
  readonly description: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** The whole object is owned and replaced as one. */
  readonly mapType?: 'atomic';
  /** Members beyond the fields are kept (custom resources that preserve unknown fields). */
  readonly isOpen?: true;
}

/** Every object type that the server knows. Built-in ones come from the generated schema, custom ones from CRDs. */
export interface Schema {
  definition(name: string): Definition | undefined;
  names(): Iterable<string>;
}
