import type { GroupVersionKind } from '../discovery-groups.ts';
import type { ResourceKind, Subresource } from '../resource-kind.ts';
import { PATCH_DEFINITION } from './schemas.ts';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** One thing that can be done at one path, said once for both editions of OpenAPI. */
export interface Operation {
  readonly path: string;
  readonly method: Method;
  /** Upstream's word for it: get, list, post, put, patch, delete, deletecollection, connect. */
  readonly action: string;
  readonly id: string;
  readonly description: string;
  /** The group and version as one word: `apps_v1`. */
  readonly tag: string;
  readonly of: GroupVersionKind;
  readonly body?: string | undefined;
  /** Undefined: a bare string. */
  readonly answer: string | undefined;
  readonly query: readonly QueryParameter[];
  /** Names in the path. */
  readonly pathParameters: readonly ('namespace' | 'name')[];
  /** Only for patch: whether the strategic form is understood. */
  readonly strategic?: boolean;
}

export interface QueryParameter {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean';
  readonly description: string;
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const SCALE = 'io.k8s.api.autoscaling.v1.Scale';

const text = (name: string, description: string): QueryParameter => ({
  name,
  type: 'string',
  description,
});
const integer = (name: string, description: string): QueryParameter => ({
  name,
  type: 'integer',
  description,
});
const flag = (name: string, description: string): QueryParameter => ({
  name,
  type: 'boolean',
  description,
});

const WRITE_QUERY = [
  text('dryRun', 'Do everything but store: All is the only value.'),
  text('fieldManager', 'Who makes this change, for metadata.managedFields.'),
  text('fieldValidation', 'What to do about unknown and duplicate fields: Ignore, Warn or Strict.'),
];

const SELECT_QUERY = [
  flag('allowWatchBookmarks', 'Ask for BOOKMARK events in a watch.'),
  text('continue', 'Where the page before this one ended, as its answer told.'),
  text('fieldSelector', 'Only objects whose fields match.'),
  text('labelSelector', 'Only objects whose labels match.'),
  integer('limit', 'How many objects to answer at most.'),
  text('resourceVersion', 'How old the answer may be.'),
  text('resourceVersionMatch', 'How resourceVersion is meant: Exact or NotOlderThan.'),
  flag('sendInitialEvents', 'Begin a watch with what exists.'),
  integer('timeoutSeconds', 'How long the answer may take.'),
];

const DELETE_QUERY = [
  text('dryRun', 'Do everything but store: All is the only value.'),
  integer('gracePeriodSeconds', 'Seconds before the object goes.'),
  flag('orphanDependents', 'Deprecated: use propagationPolicy.'),
  text('propagationPolicy', 'What becomes of dependents: Orphan, Background or Foreground.'),
];

const WATCH_QUERY = [flag('watch', 'Stream changes instead of answering a list.'), ...SELECT_QUERY];

/** All operations of a kind and its sub-resources. */
export function operationsOf(kind: ResourceKind): Operation[] {
  return [
    ...collectionOperations(kind),
    ...objectOperations(kind),
    ...Object.entries(kind.subresources).flatMap(([name, sub]) =>
      subresourceOperations(kind, name, sub),
    ),
  ];
}

interface Place {
  readonly kind: ResourceKind;
  readonly path: string;
  readonly pathParameters: readonly ('namespace' | 'name')[];
  /** `NamespacedPodStatus` */
  readonly title: string;
  readonly of: GroupVersionKind;
}

function placeOf(kind: ResourceKind, last: '' | 'name', subresource = ''): Place {
  const root = kind.group === '' ? '/api' : `/apis/${kind.group}`;
  const scope = kind.namespaced ? '/namespaces/{namespace}' : '';
  const tail = (last === 'name' ? '/{name}' : '') + (subresource === '' ? '' : `/${subresource}`);
  return {
    kind,
    path: `${root}/${kind.version}${scope}/${kind.resource}${tail}`,
    pathParameters: [
      ...(kind.namespaced ? (['namespace'] as const) : []),
      ...(last === 'name' ? (['name'] as const) : []),
    ],
    title: `${kind.namespaced ? 'Namespaced' : ''}${kind.kind}${capital(subresource)}`,
    of: { group: kind.group, version: kind.version, kind: kind.kind },
  };
}

type Told = Pick<Operation, 'method' | 'action' | 'description' | 'answer' | 'query'> &
  Partial<Pick<Operation, 'body' | 'strategic'>> & { readonly verb: string };

function operation(place: Place, { verb, ...told }: Told): Operation {
  const { group, version } = place.kind;
  const groupWord = group === '' ? 'core' : group.replace(/\.k8s\.io$/, '');
  const words = groupWord.split('.').map(capital).join('');
  return {
    path: place.path,
    pathParameters: place.pathParameters,
    of: place.of,
    tag: `${groupWord.replaceAll('.', '')}_${version}`,
    id: `${verb}${words}${capital(version)}${place.title}`,
    ...told,
  };
}

function collectionOperations(kind: ResourceKind): Operation[] {
  const place = placeOf(kind, '');
  const list: Told = {
    verb: 'list',
    method: 'get',
    action: 'list',
    description: `list or watch objects of kind ${kind.kind}`,
    answer: `${kind.definition}List`,
    query: WATCH_QUERY,
  };
  const found: Operation[] = [];
  if (kind.verbs.includes('list')) found.push(operation(place, list));
  if (kind.verbs.includes('list') && kind.namespaced) {
    found.push(operation(everyNamespace(kind), list));
  }
  if (kind.verbs.includes('create')) {
    found.push(
      operation(place, {
        verb: 'create',
        method: 'post',
        action: 'post',
        description: `create ${article(kind.kind)}`,
        body: kind.definition,
        answer: kind.definition,
        query: WRITE_QUERY,
      }),
    );
  }
  if (kind.verbs.includes('deletecollection')) {
    found.push(
      operation(place, {
        verb: 'deleteCollection',
        method: 'delete',
        action: 'deletecollection',
        description: `delete collection of ${kind.kind}`,
        body: `${META}.DeleteOptions`,
        answer: `${META}.Status`,
        query: [...DELETE_QUERY, ...SELECT_QUERY],
      }),
    );
  }
  return found;
}

function everyNamespace(kind: ResourceKind): Place {
  const place = placeOf(kind, '');
  return {
    ...place,
    path: place.path.replace('/namespaces/{namespace}', ''),
    pathParameters: [],
    title: `${kind.kind}ForAllNamespaces`,
  };
}

function objectOperations(kind: ResourceKind): Operation[] {
  const place = placeOf(kind, 'name');
  return kind.verbs.flatMap((verb) => {
    if (verb === 'delete') return [operation(place, deletion(kind))];
    const told = readOrWrite(verb, kind.definition, kind.kind, hasStrategicPatch(kind));
    return told ? [operation(place, told)] : [];
  });
}

function deletion(kind: ResourceKind): Told {
  return {
    verb: 'delete',
    method: 'delete',
    action: 'delete',
    description: `delete ${article(kind.kind)}`,
    body: `${META}.DeleteOptions`,
    answer: kind.group === '' && kind.kind === 'Pod' ? kind.definition : `${META}.Status`,
    query: DELETE_QUERY,
  };
}

function readOrWrite(
  verb: string,
  definition: string,
  what: string,
  strategic: boolean,
): Told | undefined {
  switch (verb) {
    case 'get':
      return {
        verb: 'read',
        method: 'get',
        action: 'get',
        description: `read the specified ${what}`,
        answer: definition,
        query: [],
      };
    case 'update':
      return {
        verb: 'replace',
        method: 'put',
        action: 'put',
        description: `replace the specified ${what}`,
        body: definition,
        answer: definition,
        query: WRITE_QUERY,
      };
    case 'patch':
      return {
        verb: 'patch',
        method: 'patch',
        action: 'patch',
        description: `partially update the specified ${what}`,
        body: PATCH_DEFINITION,
        answer: definition,
        query: [...WRITE_QUERY, flag('force', 'Take over fields that other managers apply.')],
        strategic,
      };
    default:
      return undefined;
  }
}

function subresourceOperations(kind: ResourceKind, name: string, sub: Subresource): Operation[] {
  const place = placeOf(kind, 'name', name);
  switch (sub.type) {
    case 'view':
      return sub.verbs.flatMap((verb) => {
        const what = `${name} of the specified ${kind.kind}`;
        const told = readOrWrite(verb, kind.definition, what, hasStrategicPatch(kind));
        return told ? [operation(place, told)] : [];
      });
    case 'scale': {
      const of = { group: 'autoscaling', version: 'v1', kind: 'Scale' };
      return ['get', 'update', 'patch'].flatMap((verb) => {
        const what = `scale of the specified ${kind.kind}`;
        const told = readOrWrite(verb, SCALE, what, hasStrategicPatch(kind));
        return told ? [operation({ ...place, of }, told)] : [];
      });
    }
    case 'connect':
      return sub.verbs.flatMap((verb) => connectOperation(place, name, sub, verb));
  }
}

const CONNECT_METHODS: Readonly<Record<string, Method>> = {
  get: 'get',
  create: 'post',
  update: 'put',
  patch: 'patch',
  delete: 'delete',
};

function connectOperation(
  place: Place,
  name: string,
  sub: { readonly kind: string; readonly apiVersion?: string },
  verb: string,
): Operation[] {
  const method = CONNECT_METHODS[verb];
  if (method === undefined) return [];
  const [version = '', group = ''] = (sub.apiVersion ?? '').split('/').reverse();
  const of =
    sub.apiVersion === undefined
      ? { ...place.of, kind: sub.kind }
      : { group, version, kind: sub.kind };
  return [
    operation(
      { ...place, of },
      {
        verb: `connect${capital(method)}`,
        method,
        action: 'connect',
        description: `connect ${method.toUpperCase()} requests to ${name} of ${place.kind.kind}`,
        answer: undefined,
        query: [],
      },
    ),
  ];
}

/** Custom resources carry no merge keys. */
function hasStrategicPatch(kind: ResourceKind): boolean {
  return kind.custom === undefined;
}

function article(kind: string): string {
  return `${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
