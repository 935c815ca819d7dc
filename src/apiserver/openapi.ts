import { decodeJson } from '../api/encoding.ts';
import type { Schema } from '../api/schema.ts';
import { isObject, type JsonObject } from '../util/json.ts';
import { notAcceptable } from './negotiation.ts';
import { DefinitionSource } from './openapi/definitions.ts';
import { documentV2 } from './openapi/document-v2.ts';
import { documentV3 } from './openapi/document-v3.ts';
import { gnosticDocument } from './openapi/gnostic.ts';
import { gnosticDocumentV3 } from './openapi/gnostic-v3.ts';
import { documentBelow, mergeDocuments } from './openapi/merge-v2.ts';
import { operationsOf } from './openapi/operations.ts';
import type { ResourceKind } from './resource-kind.ts';
import {
  acceptsJson,
  parseAccept,
  type ServedDocument,
  servedDocument,
  servedJson,
} from './served-document.ts';

/** What an aggregated server says of itself, as it was received. */
export interface RemoteDocument {
  /** Only what is below this is its own: `/apis/GROUP/VERSION/`. */
  readonly prefix: string;
  readonly bytes: Buffer;
}

export interface OpenApiSources {
  /** Every served kind. Answers the same array until something changes. */
  kinds(): readonly ResourceKind[];
  /** Where the documents of aggregated servers are, by `apis/GROUP/VERSION`. */
  remoteUrls?(): Record<string, string>;
  /** The OpenAPI v2 documents of aggregated servers. Answers the same array until something changes. */
  remoteDocuments?(): readonly RemoteDocument[];
  readonly schema: Schema;
  /** The server's version: `v1.36.2`. */
  readonly version: string;
}

export type OpenApiAnswer =
  | (ServedDocument & {
      readonly type: 'document';
      /** The client named the content by its hash: it may keep it for ever. */
      readonly immutable: boolean;
    })
  /** The client asked for content that is no more: it shall come here. */
  | { readonly type: 'redirect'; readonly location: string };

/** The protocol buffer forms; older clients write their names with an at sign. */
const GNOSTIC_TYPE = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const GNOSTIC_TYPES = new Set([GNOSTIC_TYPE, GNOSTIC_TYPE.replace('v2.v1', 'v2@v1')]);
const GNOSTIC_V3_TYPE = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf';
const GNOSTIC_V3_TYPES = new Set([GNOSTIC_V3_TYPE, GNOSTIC_V3_TYPE.replace('v3.v1', 'v3@v1')]);

/** The OpenAPI documents. Each is made when first asked for and kept until the kinds change. */
export class OpenApi {
  readonly #sources: OpenApiSources;
  #madeFrom: readonly ResourceKind[] = [];
  #remotes: readonly RemoteDocument[] = [];
  readonly #documents = new Map<string, ServedDocument>();

  constructor(sources: OpenApiSources) {
    this.#sources = sources;
  }

  /** The answer to GET `path?query`, or undefined where there is none. Throws NotAcceptable. */
  handle(path: string, query: URLSearchParams, accept?: string): OpenApiAnswer | undefined {
    this.#refresh();
    if (path === '/openapi/v2') {
      return { type: 'document', immutable: false, ...this.#versionTwo(accept) };
    }
    if (path === '/openapi/v3' || path === '/openapi/v3/') {
      return { type: 'document', immutable: false, ...servedJson(this.#index()) };
    }
    if (!path.startsWith('/openapi/v3/')) return undefined;
    const place = path.slice('/openapi/v3/'.length);
    const document = this.#groupVersion(place);
    if (document === undefined) return undefined;
    const asked = query.get('hash');
    if (asked !== null && asked !== hashOf(document)) {
      return { type: 'redirect', location: locationOf(place, document) };
    }
    const form = this.#versionThree(place, document, accept);
    return { type: 'document', immutable: asked !== null, ...form };
  }

  #versionThree(place: string, json: ServedDocument, accept: string | undefined): ServedDocument {
    for (const range of parseAccept(accept)) {
      if (acceptsJson(range)) return json;
      if (GNOSTIC_V3_TYPES.has(range.type)) {
        const document = () => gnosticDocumentV3(JSON.parse(json.bytes.toString()));
        return this.#keptBytes(`${GNOSTIC_V3_TYPE} ${place}`, GNOSTIC_V3_TYPE, document);
      }
    }
    throw notAcceptable(['application/json', GNOSTIC_V3_TYPE]);
  }

  #versionTwo(accept: string | undefined): ServedDocument {
    for (const range of parseAccept(accept)) {
      if (acceptsJson(range)) return this.#kept('v2', () => this.#documentTwo());
      if (GNOSTIC_TYPES.has(range.type)) return this.#gnostic();
    }
    throw notAcceptable(['application/json', GNOSTIC_TYPE]);
  }

  #gnostic(): ServedDocument {
    const document = () => gnosticDocument(this.#documentTwo());
    return this.#keptBytes(GNOSTIC_TYPE, GNOSTIC_TYPE, document);
  }

  #keptBytes(name: string, type: string, make: () => Buffer): ServedDocument {
    const kept = this.#documents.get(name);
    if (kept) return kept;
    const made = servedDocument(type, make());
    this.#documents.set(name, made);
    return made;
  }

  #documentTwo(): JsonObject {
    const definitions = new DefinitionSource(this.#sources.schema, this.#madeFrom);
    const operations = this.#madeFrom.flatMap(operationsOf);
    const own = documentV2(operations, definitions, this.#sources.version);
    return this.#remotes.map(readRemote).reduce(mergeDocuments, own);
  }

  #refresh(): void {
    const remotes = this.#sources.remoteDocuments?.() ?? [];
    if (remotes !== this.#remotes && (remotes.length > 0 || this.#remotes.length > 0)) {
      this.#remotes = remotes;
      this.#documents.delete('v2');
      this.#documents.delete(GNOSTIC_TYPE);
    }
    const kinds = this.#sources.kinds();
    if (kinds === this.#madeFrom) return;
    const before = Map.groupBy(this.#madeFrom, placeOf);
    const after = Map.groupBy(kinds, placeOf);
    this.#madeFrom = kinds;
    for (const name of this.#documents.keys()) {
      // A document of one group version stays while its kinds do: most changes are about one of many.
      const place = name.slice(name.indexOf(' ') + 1);
      if (!sameItems(before.get(place), after.get(place))) this.#documents.delete(name);
    }
  }

  #kept(name: string, make: () => unknown): ServedDocument {
    const kept = this.#documents.get(name);
    if (kept) return kept;
    const made = servedJson(make());
    this.#documents.set(name, made);
    return made;
  }

  #index(): unknown {
    const places = [...new Set(this.#madeFrom.map(placeOf))];
    const paths = places.map((place) => {
      const document = this.#groupVersion(place);
      return [place, { serverRelativeURL: document && locationOf(place, document) }];
    });
    const remote = Object.entries(this.#sources.remoteUrls?.() ?? {}).map(
      ([place, serverRelativeURL]) => [place, { serverRelativeURL }],
    );
    return { paths: Object.fromEntries([...paths, ...remote]) };
  }

  #groupVersion(place: string): ServedDocument | undefined {
    const kinds = this.#madeFrom.filter((kind) => placeOf(kind) === place);
    if (kinds.length === 0) return undefined;
    return this.#kept(`v3 ${place}`, () => {
      const definitions = new DefinitionSource(this.#sources.schema, this.#madeFrom);
      return documentV3(kinds.flatMap(operationsOf), definitions, this.#sources.version);
    });
  }
}

/** Empty when it cannot be understood: one server's fault must not keep clients from all others' documents. */
function readRemote({ prefix, bytes }: RemoteDocument): JsonObject {
  try {
    const { value } = decodeJson(bytes.toString(), false);
    const document = documentBelow(isObject(value) ? value : {}, prefix);
    gnosticDocument(document);
    return document;
  } catch {
    return {};
  }
}

/** `api/v1`, `apis/apps/v1` */
function placeOf({ group, version }: ResourceKind): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

function sameItems(a: readonly unknown[] | undefined, b: readonly unknown[] | undefined): boolean {
  return !!a && a.length === b?.length && a.every((item, i) => item === b[i]);
}

function hashOf(document: ServedDocument): string {
  return document.etag.slice(1, -1);
}

function locationOf(place: string, document: ServedDocument): string {
  return `/openapi/v3/${place}?hash=${hashOf(document)}`;
}
