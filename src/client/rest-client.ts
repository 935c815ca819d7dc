import { ApiError, type Status } from '../api/errors.ts';
import { apiVersionOf, type ObjectKey, type ResourceType } from '../api/resource-types.ts';
import type { Draft, List, WatchEvent } from '../api/types.ts';
import { type Clock, realClock } from '../util/clock.ts';
import type {
  Client,
  DeleteOptions,
  ListOptions,
  PatchType,
  Selection,
  WatchOptions,
  WriteOptions,
} from './client.ts';
import { Credentials } from './credentials.ts';
import { jsonLines } from './json-lines.ts';
import { type ClusterAccess, loadKubeconfig } from './kubeconfig.ts';
import { collectionPath, objectPath, queryString } from './paths.ts';
import { Transport } from './transport.ts';

export interface RestClientOptions {
  /** `kubelet/v1.36.2`: what stands before the slash becomes the field manager. */
  readonly userAgent?: string;
  readonly clock?: Clock;
}

/** A client for the current context of a kubeconfig file. Reads the file now; connects at the first request. */
export async function createClient(
  kubeconfigPath: string,
  options: RestClientOptions = {},
): Promise<RestClient> {
  return new RestClient(await loadKubeconfig(kubeconfigPath), options);
}

const PATCH_TYPES: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';

/** A watch is asked to end after 5 to 10 minutes, as in client-go: the load moves on, dead connections are found. */
const WATCH_SECONDS = 300;
/** How much longer than asked a silent watch may live before its connection counts as dead. */
const WATCH_SLACK_MS = 30_000;

/** The front door over HTTPS. */
export class RestClient implements Client {
  readonly #credentials: Credentials;
  readonly #transport: Transport;
  readonly #clock: Clock;

  constructor(access: ClusterAccess, options: RestClientOptions = {}) {
    const { userAgent = 'k8ts', clock = realClock } = options;
    this.#clock = clock;
    this.#credentials = new Credentials(access, clock);
    this.#transport = new Transport(access.server, {
      credentials: this.#credentials,
      clock,
      userAgent,
    });
  }

  /** Cuts every connection, watches included. */
  close(): void {
    this.#credentials.close();
  }

  async get<T>(type: ResourceType<T>, key: ObjectKey, signal?: AbortSignal): Promise<T> {
    return typed(type, await this.raw('GET', objectPath(type, key), undefined, signal));
  }

  async list<T>(
    type: ResourceType<T>,
    options: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<List<T>> {
    const query = queryString({
      ...selectors(options),
      limit: options.limit,
      continue: options.continue,
      resourceVersion: options.resourceVersion,
    });
    const path = collectionPath(type, options.namespace) + query;
    const accept = options.metadataOnly ? METADATA_LIST : 'application/json';
    const body = (await this.#transport.json({ method: 'GET', path, accept }, signal)) as List<T>;
    const items = body.items ?? [];
    for (const item of items) typed(type, item);
    return { ...body, items };
  }

  async *watch<T>(
    type: ResourceType<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    const seconds = Math.round(WATCH_SECONDS * (1 + Math.random()));
    const query = queryString({
      watch: true,
      allowWatchBookmarks: true,
      timeoutSeconds: seconds,
      resourceVersion: options.resourceVersion,
      ...(options.sendInitialEvents
        ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
        : {}),
      ...selectors(options),
    });
    const path = collectionPath(type, options.namespace) + query;
    const accept = options.metadataOnly ? METADATA_ONLY : 'application/json';
    const overdue = new AbortController();
    const cancel = this.#clock.after(seconds * 1000 + WATCH_SLACK_MS, () => overdue.abort());
    try {
      const either = AbortSignal.any([signal, overdue.signal]);
      const chunks = this.#transport.stream({ method: 'GET', path, accept }, either);
      for await (const line of jsonLines(chunks)) yield watchEvent(type, line);
    } catch (err) {
      if (!overdue.signal.aborted || signal.aborted) throw err;
    } finally {
      cancel();
    }
  }

  async create<T>(type: ResourceType<T>, object: Draft<T>, options: WriteOptions = {}): Promise<T> {
    const path = collectionPath(type, metaOf(object).namespace) + writeQuery(options);
    return typed(type, await this.raw('POST', path, object));
  }

  async update<T>(
    type: ResourceType<T>,
    object: T,
    options: WriteOptions & { subresource?: string } = {},
  ): Promise<T> {
    const { namespace = '', name = '' } = metaOf(object);
    const path = objectPath(type, { namespace, name }, options.subresource) + writeQuery(options);
    return typed(type, await this.raw('PUT', path, object));
  }

  async patch<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: { type: PatchType; body: unknown },
    options: WriteOptions & { subresource?: string; force?: boolean } = {},
  ): Promise<T> {
    const path =
      objectPath(type, key, options.subresource) + writeQuery(options, { force: options.force });
    const contentType = PATCH_TYPES[patch.type];
    const body = JSON.stringify(patch.body);
    return typed(type, await this.#transport.json({ method: 'PATCH', path, contentType, body }));
  }

  async delete<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...options };
    await this.raw('DELETE', objectPath(type, key), body);
  }

  createSubresource<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    subresource: string,
    body: unknown,
  ): Promise<unknown> {
    return this.raw('POST', objectPath(type, key, subresource), body);
  }

  raw(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    return this.#transport.json({ method, path, ...text }, signal);
  }
}

function selectors(options: Selection) {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}

function writeQuery(options: WriteOptions, more: { force?: boolean | undefined } = {}): string {
  const { dryRun, fieldManager } = options;
  return queryString({ ...(dryRun ? { dryRun: 'All' } : {}), fieldManager, ...more });
}

function metaOf(object: unknown): { namespace?: string; name?: string } {
  return (object as { metadata?: { namespace?: string; name?: string } }).metadata ?? {};
}

/** Fills in what lists and cluster-scoped objects leave out on the wire, and the true kind of a metadata-only answer. */
function typed<T>(type: ResourceType<T>, body: unknown): T {
  const object = body as { apiVersion?: string; kind?: string; metadata?: { namespace?: string } };
  if (object.kind === undefined || object.kind === 'PartialObjectMetadata') {
    object.apiVersion = apiVersionOf(type);
    object.kind = type.kind;
  }
  if (object.metadata) object.metadata.namespace ??= '';
  return object as T;
}

function watchEvent<T>(type: ResourceType<T>, line: unknown): WatchEvent<T> {
  const event = line as WatchEvent<T>;
  if (event.type === 'ERROR') throw ApiError.fromStatus(event.object as Status);
  return { type: event.type, object: typed(type, event.object) };
}
