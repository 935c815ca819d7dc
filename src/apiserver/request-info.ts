import type { AskedSelector } from './authz/selectors.ts';

export type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'deletecollection';

/** What a request's path and method ask for (upstream's RequestInfo). */
export interface RequestInfo {
  readonly path: string;
  /** A `Verb` for resources; else the method in lower case. */
  readonly verb: string;
  readonly isResource: boolean;
  readonly group: string;
  readonly version: string;
  /** Empty: all namespaces, or a kind without any. */
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** The name that the field selector of a list or watch asks for. */
  readonly selectedName?: string | undefined;
  /** The selectors of a list, watch or deletion of many. */
  readonly fieldSelector?: AskedSelector | undefined;
  readonly labelSelector?: AskedSelector | undefined;
  /** What follows the sub-resource: the path behind `proxy`. */
  readonly rest: string;
}

const VERBS: Readonly<Record<string, Verb>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

const SELECTING = new Set(['list', 'watch', 'deletecollection']);

// The only sub-resources of a namespace; any other word there is a resource in the namespace.
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);

/** Reads `/api/v1/…` and `/apis/GROUP/VERSION/…`; any other path is a non-resource request. */
export function parseRequestInfo(
  method: string,
  path: string,
  query: URLSearchParams,
): RequestInfo {
  const parts = segments(path);
  const isCore = parts[0] === 'api';
  const at = isCore ? 2 : 3;
  if ((!isCore && parts[0] !== 'apis') || parts.length <= at) return nonResource(method, path);
  const group = isCore ? '' : (parts[1] ?? '');
  const version = parts[at - 1] ?? '';
  const own = parts.slice(at);
  // The old form /api/v1/watch/pods.
  const oldWatch = own[0] === 'watch' && own.length > 1;
  if (oldWatch) own.shift();
  const { namespace, resource, name, subresource, rest } = locate(own);
  const watch = oldWatch || isTrue(query.get('watch'));
  const verb = oldWatch ? 'watch' : verbOf(method, name, watch);
  return {
    path,
    verb,
    isResource: true,
    group,
    version,
    namespace,
    resource,
    subresource,
    name,
    ...(SELECTING.has(verb) ? selectorsOf(query) : {}),
    rest,
  };
}

function selectorsOf(
  query: URLSearchParams,
): Pick<RequestInfo, 'selectedName' | 'fieldSelector' | 'labelSelector'> {
  const [field, label] = [query.get('fieldSelector'), query.get('labelSelector')];
  return {
    selectedName: selectedName(query),
    ...(field ? { fieldSelector: field } : {}),
    ...(label ? { labelSelector: label } : {}),
  };
}

function selectedName(query: URLSearchParams): string | undefined {
  return /(?:^|,)metadata\.name==?([^,]+)/.exec(query.get('fieldSelector') ?? '')?.[1];
}

function verbOf(method: string, name: string, watch: boolean): string {
  const verb = VERBS[method];
  if (!verb) return method.toLowerCase();
  if (name !== '') return verb;
  if (verb === 'get') return watch ? 'watch' : 'list';
  return verb === 'delete' ? 'deletecollection' : verb;
}

function locate(
  parts: readonly string[],
): Pick<RequestInfo, 'namespace' | 'resource' | 'name' | 'subresource' | 'rest'> {
  const [first = '', second = '', third = ''] = parts;
  if (first === 'namespaces' && parts.length > 2 && !NAMESPACE_SUBRESOURCES.has(third)) {
    return { ...named(parts.slice(2)), namespace: second };
  }
  const namespace = first === 'namespaces' ? second : '';
  return { ...named(parts), namespace };
}

function named(
  parts: readonly string[],
): Pick<RequestInfo, 'resource' | 'name' | 'subresource' | 'rest'> {
  const [resource = '', name = '', subresource = ''] = parts;
  return { resource, name, subresource, rest: parts.slice(3).join('/') };
}

function nonResource(method: string, path: string): RequestInfo {
  return {
    path,
    verb: method.toLowerCase(),
    isResource: false,
    group: '',
    version: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    rest: '',
  };
}

function segments(path: string): string[] {
  const out = path.split('/');
  if (out[0] === '') out.shift();
  while (out.at(-1) === '') out.pop();
  return path.includes('%') ? out.map(decode) : out;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const LONG_SUBRESOURCES = new Set(['exec', 'attach', 'portforward', 'log', 'proxy']);

/** Requests whose answer has no near end: watches and streams. */
export function isLongRunning({ verb, subresource }: RequestInfo): boolean {
  return verb === 'watch' || LONG_SUBRESOURCES.has(subresource);
}

/** Go's strconv.ParseBool, for query parameters. */
export function isTrue(text: string | null): boolean {
  return text !== null && ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text);
}
