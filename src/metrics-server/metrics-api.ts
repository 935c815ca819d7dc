import { ApiError, notFound } from '../api/errors.ts';
import { parseSelector, type Selector, matches as selects } from '../api/labels.ts';
import { NODES, PODS } from '../api/resource-types.ts';
import { errorMessage } from '../util/errors.ts';
import {
  API_GROUP,
  API_GROUP_LIST,
  API_RESOURCES,
  GROUP,
  metricsList,
  nodeMetrics,
  podMetrics,
  type Subject,
} from './documents.ts';
import type { UsageStore } from './usage-store.ts';

export interface MetricsApiDeps {
  /** The nodes or the Pods that there are: all that may be meant, and others. */
  readonly subjects: readonly { readonly metadata: Subject }[];
  readonly store: UsageStore;
  readonly now: number;
}

/** What somebody asks for, and must be allowed to. */
export interface Wanted {
  readonly verb: 'get' | 'list';
  readonly resource: 'nodes' | 'pods';
  readonly namespace: string;
  readonly name: string;
}

const DISCOVERY: Readonly<Record<string, object>> = {
  '/apis': API_GROUP_LIST,
  [`/apis/${GROUP}`]: API_GROUP,
  [`/apis/${GROUP}/v1beta1`]: API_RESOURCES,
};

/** Documents about the API itself; everybody who is known may read them. */
export function discoveryDocument(path: string): object | undefined {
  const plain = path.replace(/\/$/, '');
  return Object.hasOwn(DISCOVERY, plain) ? DISCOVERY[plain] : undefined;
}

/** The request behind a path below /apis/metrics.k8s.io/v1beta1; undefined when there is none. Pure. */
export function wantedOf(path: string): Wanted | undefined {
  const [, apis, group, version, ...parts] = path.split('/').map(decodeURIComponent);
  if (apis !== 'apis' || group !== GROUP || version !== 'v1beta1') return undefined;
  const namespace = parts[0] === 'namespaces' ? (parts[1] ?? '') : '';
  const [resource, name = '', ...more] = parts[0] === 'namespaces' ? parts.slice(2) : parts;
  if (more.length > 0) return undefined;
  if (resource === 'nodes' && namespace !== '') return undefined;
  if (resource !== 'nodes' && resource !== 'pods') return undefined;
  if (resource === 'pods' && name !== '' && namespace === '') return undefined;
  return { verb: name === '' ? 'list' : 'get', resource, namespace, name };
}

/** Answers with the figures; throws NotFound for what has none. */
export function answerMetrics(
  wanted: Wanted,
  query: URLSearchParams,
  { subjects, store, now }: MetricsApiDeps,
): object {
  const one = wanted.resource === 'nodes' ? nodeAnswer(store, now) : podAnswer(store, now);
  const { namespace, name } = wanted;
  const inNamespace = subjects.filter((s) => !namespace || s.metadata.namespace === namespace);
  if (wanted.verb === 'get') {
    const found = inNamespace.find((subject) => subject.metadata.name === name);
    const answer = found && one(found);
    if (answer) return answer;
    const type = { ...TYPES[wanted.resource], group: GROUP, resource: KINDS[wanted.resource] };
    throw notFound(type, namespace ? `${namespace}/${name}` : name);
  }
  const selector = selectorOf(query);
  const field = fieldName(query);
  const items = inNamespace
    .filter(({ metadata }) => selects(selector, metadata.labels))
    .filter(({ metadata }) => field === undefined || metadata.name === field)
    .map(one)
    .filter((item) => item !== undefined);
  return metricsList(wanted.resource === 'nodes' ? 'NodeMetrics' : 'PodMetrics', items);
}

const TYPES = { nodes: NODES, pods: PODS } as const;
const KINDS = { nodes: 'nodemetrics', pods: 'podmetrics' } as const;

type Answer = (subject: { readonly metadata: Subject }) => object | undefined;

function nodeAnswer(store: UsageStore, now: number): Answer {
  return ({ metadata }) => {
    const usage = store.node(metadata.name);
    return usage && nodeMetrics(metadata, usage, now);
  };
}

function podAnswer(store: UsageStore, now: number): Answer {
  return ({ metadata }) => {
    const usages = store.pod(`${metadata.namespace}/${metadata.name}`);
    return usages && podMetrics(metadata, usages, now);
  };
}

function selectorOf(query: URLSearchParams): Selector {
  const text = query.get('labelSelector') ?? '';
  try {
    return parseSelector(text);
  } catch (err) {
    throw new ApiError('BadRequest', errorMessage(err), { cause: err });
  }
}

/** Only one object can be told apart by its fields: by its name. */
function fieldName(query: URLSearchParams): string | undefined {
  const text = query.get('fieldSelector');
  if (!text) return undefined;
  const name = /^metadata\.name==?([^,]+)$/.exec(text)?.[1];
  if (name === undefined) {
    throw new ApiError('BadRequest', `field label not supported: ${text}`);
  }
  return name;
}
