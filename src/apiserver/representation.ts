import type { KubeObject } from '../api/types.ts';
import type { Representation } from './negotiation.ts';
import type { Column, ResourceKind } from './resource-kind.ts';
import { fromMetadata, parseObject, type ServedBytes } from './stored-object.ts';

/** What rows of a Table carry besides their cells (query parameter includeObject). */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Turns stored objects into what a client asked to read. */
export interface Shape {
  readonly representation: Representation;
  readonly kind: ResourceKind;
  readonly includeObject: IncludeObject;
  readonly now: number;
}

/** True when a client gets objects just as they are stored. */
export function isPlain({ representation, kind }: Shape): boolean {
  return representation.as === undefined && kind.storedAs === undefined;
}

/** One object in the version and shape that was asked for, as JSON text. */
export function shapeObject(shape: Shape, bytes: Buffer): Buffer {
  if (isPlain(shape)) return bytes;
  const object = inServedVersion(shape.kind, parseObject(bytes));
  return Buffer.from(JSON.stringify(shapeParsed(shape, object)));
}

export function inServedVersion(kind: ResourceKind, object: KubeObject): KubeObject {
  return kind.storedAs ? kind.storedAs.fromStored(object) : object;
}

function shapeParsed(shape: Shape, object: KubeObject): unknown {
  switch (shape.representation.as) {
    case undefined:
      return object;
    case 'Table':
      return {
        ...tableHead(shape, { resourceVersion: object.metadata.resourceVersion ?? '' }),
        rows: [tableRow(shape, object)],
      };
    default:
      return partial(shape, object);
  }
}

/**
 * An item of a list, without the brace that it begins with. As in upstream's typed lists, items of built-in kinds do not
 * repeat what they are.
 */
export function shapeItem(shape: Shape, served: ServedBytes): Buffer {
  if (isPlain(shape)) return isNamed(shape) ? served.bytes.subarray(1) : fromMetadata(served);
  const object = inServedVersion(shape.kind, parseObject(served.bytes));
  return Buffer.from(JSON.stringify(itemOf(shape, object))).subarray(1);
}

function isNamed({ kind }: Shape): boolean {
  return kind.custom !== undefined;
}

/** An object in its served version as an item of a list. */
function itemOf(shape: Shape, object: KubeObject): object {
  const { as } = shape.representation;
  if (as === 'Table') return tableRow(shape, object);
  if (as !== undefined) return partial(shape, object);
  const { apiVersion, kind, ...rest } = object;
  return isNamed(shape) ? object : rest;
}

/** A whole list of items that are at hand. */
export function shapeList(
  shape: Shape,
  metadata: ListMeta,
  items: readonly (ServedBytes | KubeObject)[],
): Buffer {
  const { head, tail } = listEnvelope(shape, metadata);
  const texts = items.map((item) =>
    isServed(item) ? `{${shapeItem(shape, item)}` : JSON.stringify(itemOf(shape, item)),
  );
  return Buffer.from(head + texts.join(',') + tail);
}

function isServed(item: ServedBytes | KubeObject): item is ServedBytes {
  return 'versionAt' in item;
}

export interface ListMeta {
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
}

/** What stands before and behind the items of a list. */
export function listEnvelope(shape: Shape, metadata: ListMeta): { head: string; tail: string } {
  const { kind, representation } = shape;
  if (representation.as === 'Table') {
    const head = JSON.stringify(tableHead(shape, metadata));
    return { head: `${head.slice(0, -1)},"rows":[`, tail: ']}\n' };
  }
  const isPartial = representation.as !== undefined;
  const name = isPartial ? 'PartialObjectMetadataList' : `${kind.kind}List`;
  const apiVersion = isPartial ? metaVersion(representation) : versionOf(kind);
  const head = JSON.stringify({ kind: name, apiVersion, metadata });
  return { head: `${head.slice(0, -1)},"items":[`, tail: ']}\n' };
}

function versionOf({ group, version }: ResourceKind): string {
  return group === '' ? version : `${group}/${version}`;
}

function metaVersion({ metaVersion = 'v1' }: Representation): string {
  return `meta.k8s.io/${metaVersion}`;
}

function tableHead({ kind, representation }: Shape, metadata: object): object {
  return {
    kind: 'Table',
    apiVersion: metaVersion(representation),
    metadata,
    columnDefinitions: kind.columns.map(columnDefinition),
  };
}

function columnDefinition({ name, type, format = '', description, priority }: Column): object {
  return { name, type, format, description, priority };
}

function tableRow(shape: Shape, object: KubeObject): object {
  const { kind, now, includeObject } = shape;
  const conditions = kind.rowConditions?.(object) ?? [];
  return {
    cells: kind.row(object, now),
    ...(conditions.length > 0 ? { conditions } : {}),
    ...(includeObject === 'None'
      ? {}
      : { object: includeObject === 'Object' ? object : partial(shape, object) }),
  };
}

function partial({ representation }: Shape, { metadata }: KubeObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: metaVersion(representation), metadata };
}
