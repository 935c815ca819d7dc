import type { Clock } from '../util/clock.ts';
import { Metrics } from '../util/metrics.ts';
import type { Exchange } from './exchange.ts';

// Upstream's buckets of apiserver_request_duration_seconds.
const SECONDS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45,
  60,
];
const LONG_RUNNING = new Set(['watch']);
const LONG_SUBRESOURCES = new Set(['exec', 'attach', 'portforward', 'log', 'proxy']);

/** The API server's metrics under upstream's names. */
export class ServerMetrics {
  readonly registry = new Metrics();
  readonly #clock: Clock;
  readonly #requests = this.registry.counter(
    'apiserver_request_total',
    'Requests by verb, group, version, resource, sub-resource, scope and code',
    ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'code'],
  );
  readonly #seconds = this.registry.histogram(
    'apiserver_request_duration_seconds',
    'Time until the answer was complete, without long-running requests',
    {
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'scope'],
      buckets: SECONDS,
    },
  );
  readonly #longRunning = this.registry.gauge(
    'apiserver_longrunning_requests',
    'Watches and streams that are open',
    ['verb', 'group', 'version', 'resource', 'subresource', 'scope'],
  );

  readonly #terminated = this.registry.counter(
    'apiserver_terminated_watchers_total',
    'Watches that were ended because their client did not keep up',
    ['group', 'resource'],
  );

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watcherTerminated({ group, resource }: { group: string; resource: string }): void {
    this.#terminated.inc({ group, resource });
  }

  /** Answers what to call when the request is over. */
  began({ info, res }: Exchange): () => void {
    const labels = {
      verb: info.verb.toUpperCase(),
      group: info.group,
      version: info.version,
      resource: info.resource,
      subresource: info.isResource ? info.subresource : '',
      scope: scopeOf(info),
    };
    const long = LONG_RUNNING.has(info.verb) || LONG_SUBRESOURCES.has(info.subresource);
    if (long) this.#longRunning.inc(labels);
    const started = this.#clock.now();
    return () => {
      if (long) this.#longRunning.dec(labels);
      else this.#seconds.observe(labels, (this.#clock.now() - started) / 1000);
      this.#requests.inc({ ...labels, code: String(res.statusCode) });
    };
  }
}

function scopeOf({ isResource, namespace, name }: Exchange['info']): string {
  if (!isResource) return '';
  if (name !== '') return 'resource';
  return namespace === '' ? 'cluster' : 'namespace';
}
