import type { KubeObject } from '../api/types.ts';
import type { Representation } from './negotiation.ts';
import type { Column, ResourceKind } from './resource-kind.ts';
import { parseObject } from './stored-object.ts';

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

/** An item of a list. */
export function shapeItem(shape: Shape, bytes: Buffer): Buffer {
  if (isPlain(shape)) return bytes;
  const object = inServedVersion(shape.kind, parseObject(bytes));
  const item =
    shape.representation.as === 'Table'
      ? tableRow(shape, object)
      : shape.representation.as === undefined
        ? object
        : partial(shape, object);
  return Buffer.from(JSON.stringify(item));
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
