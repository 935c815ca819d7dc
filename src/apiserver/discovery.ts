import { ApiError } from '../api/errors.ts';
import {
  aggregatedDocument,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from './discovery-documents.ts';
import { type DiscoveredGroup, discoverGroups } from './discovery-groups.ts';
import type { ResourceKind } from './resource-kind.ts';
import { acceptsJson, parseAccept, type ServedDocument, servedJson } from './served-document.ts';

export interface DiscoverySources {
  /** Every served kind. Answers the same array until something changes. */
  kinds(): readonly ResourceKind[];
  /** Groups of aggregated API servers; the same array until something changes. */
  remoteGroups?(): readonly DiscoveredGroup[];
  /** `ADDRESS:PORT` that /api tells clients to use. */
  readonly serverAddress: string;
}

/**
 * The discovery documents: /api, /apis, /api/v1, /apis/GROUP and /apis/GROUP/VERSION, the first two also as
 * one aggregated list (apidiscovery.k8s.io, KEP-3352). Made when asked for, kept until the kinds change.
 */
export class Discovery {
  readonly #sources: DiscoverySources;
  #groups: readonly DiscoveredGroup[] = [];
  #madeFrom: readonly unknown[] = [];
  readonly #documents = new Map<string, ServedDocument>();

  constructor(sources: DiscoverySources) {
    this.#sources = sources;
  }

  /**
   * The document at `path` (without query), or undefined where there is none.
   * Throws NotAcceptable when the client takes neither JSON nor an aggregated form that is known here.
   */
  handle(path: string, accept: string | undefined): ServedDocument | undefined {
    const parts = path.split('/').filter((part) => part !== '');
    const form = chooseForm(accept, parts.length === 1);
    if (form === undefined) {
      throw new ApiError(
        'NotAcceptable',
        'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf',
      );
    }
    const groups = this.groups();
    const key = `${parts.join('/')} ${form.contentType}`;
    const kept = this.#documents.get(key);
    if (kept) return kept;
    const body = this.#body(groups, parts, form.version);
    if (body === undefined) return undefined;
    const made = servedJson(body, form.contentType);
    this.#documents.set(key, made);
    return made;
  }

  /** All groups in upstream's order, the core group among them. */
  groups(): readonly DiscoveredGroup[] {
    const kinds = this.#sources.kinds();
    const remote = this.#sources.remoteGroups?.() ?? NO_GROUPS;
    if (this.#madeFrom[0] !== kinds || this.#madeFrom[1] !== remote) {
      this.#groups = discoverGroups(kinds, remote);
      this.#madeFrom = [kinds, remote];
      this.#documents.clear();
    }
    return this.#groups;
  }

  #body(
    groups: readonly DiscoveredGroup[],
    parts: readonly string[],
    aggregated: string | undefined,
  ): unknown {
    const [root, ...rest] = parts;
    const named = groups.filter(({ name }) => name !== '');
    const core = groups.filter(({ name }) => name === '');
    if (root === 'api') {
      if (rest.length > 1) return undefined;
      if (rest[0] !== undefined) return apiResourceList(core, '', rest[0]);
      return aggregated === undefined
        ? apiVersions(core, this.#sources.serverAddress)
        : aggregatedDocument(core, aggregated);
    }
    if (root !== 'apis' || rest.length > 2) return undefined;
    const [group, version] = rest;
    if (group === undefined) {
      return aggregated === undefined ? apiGroupList(named) : aggregatedDocument(named, aggregated);
    }
    return version === undefined ? apiGroup(named, group) : apiResourceList(named, group, version);
  }
}

const NO_GROUPS: readonly DiscoveredGroup[] = [];

interface Form {
  readonly contentType: string;
  /** Of apidiscovery.k8s.io; undefined for the plain documents. */
  readonly version: string | undefined;
}

const PLAIN: Form = { contentType: 'application/json', version: undefined };

function chooseForm(accept: string | undefined, mayAggregate: boolean): Form | undefined {
  for (const range of parseAccept(accept)) {
    if (!acceptsJson(range)) continue;
    const { g, v, as } = range.parameters;
    if (as === undefined) return PLAIN;
    const isKnown = g === 'apidiscovery.k8s.io' && (v === 'v2' || v === 'v2beta1');
    if (mayAggregate && isKnown && as === 'APIGroupDiscoveryList') {
      return { contentType: `application/json;g=${g};v=${v};as=${as}`, version: v };
    }
  }
  return undefined;
}
