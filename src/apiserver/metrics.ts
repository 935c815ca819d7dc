import { hostname } from 'node:os';
import type { Clock } from '../util/clock.ts';
import { configurationHash } from '../util/configuration-hash.ts';
import { Metrics } from '../util/metrics.ts';
import type { Exchange } from './exchange.ts';
import type { RequestInfo } from './request-info.ts';

// Upstream's buckets of apiserver_request_duration_seconds.
const SECONDS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45,
  60,
];
const LONG_SUBRESOURCES = new Set(['exec', 'attach', 'portforward', 'log', 'proxy']);
const PLACE = [
  'verb',
  'group',
  'version',
  'resource',
  'subresource',
  'scope',
  'component',
] as const;

export type ReloadedConfiguration = 'authentication' | 'authorization';

/** `hash`: of the configuration that counts now. */
export type ReloadOutcome =
  | { readonly status: 'first' | 'success'; readonly hash: string }
  | { readonly status: 'failure' };

/** How often a configuration was read again, and which one counts. Answers what records an outcome. */
function reloadMetrics(registry: Metrics, what: ReloadedConfiguration) {
  const name = (suffix: string) => `apiserver_${what}_config_controller_${suffix}`;
  // Servers tell themselves from others by their machine's name.
  const server = { apiserver_id_hash: configurationHash(hostname()) };
  const total = registry.counter(
    name('automatic_reloads_total'),
    `Automatic reloads of the ${what} configuration by status and API server`,
    ['status', 'apiserver_id_hash'],
  );
  const last = registry.gauge(
    name('automatic_reload_last_timestamp_seconds'),
    `When the ${what} configuration was last reloaded, by status and API server`,
    ['status', 'apiserver_id_hash'],
  );
  const info = registry.gauge(
    name('last_config_info'),
    `Information about the last applied ${what} configuration with hash as label`,
    ['hash', 'apiserver_id_hash'],
  );
  return (outcome: ReloadOutcome, now: number): void => {
    const { status } = outcome;
    if (status !== 'first') {
      total.inc({ ...server, status });
      last.set({ ...server, status }, now / 1000);
    }
    if (status === 'failure') return;
    info.reset();
    info.set({ ...server, hash: outcome.hash }, 1);
  };
}

/** The API server's metrics under upstream's names. */
export class ServerMetrics {
  readonly registry = new Metrics();
  readonly #clock: Clock;
  readonly #isServed: (info: RequestInfo) => boolean;
  readonly #requests = this.registry.counter(
    'apiserver_request_total',
    'Requests by verb, dry run, group, version, resource, scope, component and code',
    [...PLACE, 'dry_run', 'code'],
  );
  readonly #seconds = this.registry.histogram(
    'apiserver_request_duration_seconds',
    'Time until the answer was complete, without long-running requests',
    { labelNames: [...PLACE, 'dry_run'], buckets: SECONDS },
  );
  readonly #longRunning = this.registry.gauge(
    'apiserver_longrunning_requests',
    'Watches and streams that are open',
    PLACE,
  );
  readonly #inFlight = this.registry.gauge(
    'apiserver_current_inflight_requests',
    'Requests that are being answered, without long-running ones',
    ['request_kind'],
  );
  readonly #encryption = this.registry.gauge(
    'apiserver_encryption_config_controller_last_config_info',
    'Information about the last applied encryption configuration with hash as label',
    ['hash'],
  );
  readonly #reloads = {
    authentication: reloadMetrics(this.registry, 'authentication'),
    authorization: reloadMetrics(this.registry, 'authorization'),
  };
  readonly #terminated = this.registry.counter(
    'apiserver_terminated_watchers_total',
    'Watches that were ended because their client did not keep up',
    ['group', 'resource'],
  );

  /** `isServed`: whether a request is about a kind that exists. Others may name anything, so what they name is no label. */
  constructor(clock: Clock, isServed: (info: RequestInfo) => boolean) {
    this.#clock = clock;
    this.#isServed = isServed;
  }

  /** Which encryption configuration counts now. */
  encryptionConfigured(hash: string): void {
    this.#encryption.reset();
    this.#encryption.set({ hash }, 1);
  }

  /** What came of reading --authentication-config or --authorization-config. */
  configurationRead(what: ReloadedConfiguration, outcome: ReloadOutcome): void {
    this.#reloads[what](outcome, this.#clock.now());
  }

  watcherTerminated({ group, resource }: { group: string; resource: string }): void {
    this.#terminated.inc({ group, resource });
  }

  now(): number {
    return this.#clock.now();
  }

  /** A request that came then is being answered. Answers what to call when that is over. */
  began(exchange: Exchange, arrived = this.now()): () => void {
    const { info, res, query } = exchange;
    const labels = this.#labelsOf(exchange);
    const long = info.verb === 'watch' || LONG_SUBRESOURCES.has(info.subresource);
    const kind = { request_kind: READS.has(info.verb) ? 'readOnly' : 'mutating' };
    if (long) this.#longRunning.inc(labels);
    else this.#inFlight.inc(kind);
    const dry_run = query.get('dryRun') === 'All' ? 'All' : '';
    return () => {
      if (long) this.#longRunning.dec(labels);
      else {
        this.#inFlight.dec(kind);
        this.#seconds.observe({ ...labels, dry_run }, (this.#clock.now() - arrived) / 1000);
      }
      this.#requests.inc({ ...labels, dry_run, code: String(res.statusCode) });
    };
  }

  #labelsOf({ info, req }: Exchange): Record<(typeof PLACE)[number], string> {
    const component = 'apiserver';
    const verb = verbOf(info, String(req.headers['content-type'] ?? ''));
    if (!info.isResource || !this.#isServed(info)) {
      return { verb, group: '', version: '', resource: '', subresource: '', scope: '', component };
    }
    const { group, version, resource } = info;
    // Only sub-resources that some kind has: a path may hold any word there.
    const subresource = SUBRESOURCES.has(info.subresource) ? info.subresource : '';
    return { verb, group, version, resource, subresource, scope: scopeOf(info), component };
  }
}

const READS = new Set(['get', 'list', 'watch', 'head']);
const SUBRESOURCES = new Set([
  ...LONG_SUBRESOURCES,
  ...['status', 'scale', 'binding', 'eviction', 'ephemeralcontainers', 'resize', 'token'],
  ...['approval', 'finalize'],
]);
/** Verbs as upstream reports them: by the method of HTTP where it has one of its own. */
const REPORTED: Readonly<Record<string, string>> = {
  ...{ get: 'GET', head: 'GET', list: 'LIST', watch: 'WATCH', create: 'POST', post: 'POST' },
  ...{ update: 'PUT', put: 'PUT', patch: 'PATCH', delete: 'DELETE' },
  deletecollection: 'DELETECOLLECTION',
};

function verbOf({ verb, subresource }: RequestInfo, type: string): string {
  if (LONG_SUBRESOURCES.has(subresource)) return 'CONNECT';
  if (verb === 'patch' && type.startsWith('application/apply-patch')) return 'APPLY';
  return REPORTED[verb] ?? 'OTHER';
}

function scopeOf({ isResource, namespace, name }: Exchange['info']): string {
  if (!isResource) return '';
  if (name !== '') return 'resource';
  return namespace === '' ? 'cluster' : 'namespace';
}
