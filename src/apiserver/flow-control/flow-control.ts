import { ApiError } from '../../api/errors.ts';
import { FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS } from '../../api/system-resource-types.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import { disconnectSignal, type Exchange } from '../exchange.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ResourceKind } from '../resource-kind.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';
import { DUMPS } from './dump.ts';
import { FairQueue, type LevelLimits, RejectedError } from './fair-queue.ts';
import { flowOf, matchesSchema } from './match.ts';
import type { FlowMetrics } from './metrics.ts';

export interface FlowControlDeps {
  readonly state: State;
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  readonly metrics: FlowMetrics;
}

interface Level {
  readonly uid: string;
  /** Undefined: exempt. */
  readonly queue: FairQueue | undefined;
}

/** Where a request belongs. */
interface Flow {
  readonly schema: FlowSchema;
  readonly level: Level;
  readonly labels: { flow_schema: string; priority_level: string };
  readonly name: string;
}

const LONG_SUBRESOURCES = new Set(['exec', 'attach', 'portforward', 'log', 'proxy']);
const RETRY_AFTER_SECONDS = 1;
const NOTHING = (): void => {};

/**
 * API priority and fairness (KEP-1040): a request belongs to the first FlowSchema that matches it, which sends it to a priority
 * level with seats of its own and fair queues before them. A flood of one user so costs others nothing but their place in line.
 * Before the first configuration is read, and for levels that do not exist, nobody waits.
 */
export class FlowControl {
  readonly #deps: FlowControlDeps;
  readonly #totalSeats: number;
  readonly #levels = new Map<string, Level>();
  #schemas: readonly FlowSchema[] = [];

  constructor(totalSeats: number, deps: FlowControlDeps) {
    this.#totalSeats = totalSeats;
    this.#deps = deps;
  }

  /** Follows the stored configuration from now on. */
  async follow(): Promise<void> {
    const { state } = this.#deps;
    const levels = await state.cache(this.#kind(PRIORITY_LEVEL_CONFIGURATIONS));
    const schemas = await state.cache(this.#kind(FLOW_SCHEMAS));
    const readLevels = (): void =>
      this.#useLevels(levels.slice('').map(({ served }) => parse(served.bytes)));
    const readSchemas = (): void =>
      this.#useSchemas(schemas.slice('').map(({ served }) => parse(served.bytes)));
    levels.addWatcher({ scope: { namespace: '' }, offer: readLevels });
    schemas.addWatcher({ scope: { namespace: '' }, offer: readSchemas });
    readLevels();
    readSchemas();
  }

  /** Waits for a seat. Answers what gives it back. Throws TooManyRequests. */
  async admit(exchange: Exchange): Promise<() => void> {
    const flow = this.#classify(exchange);
    if (!flow) return NOTHING;
    const { res, info } = exchange;
    res.setHeader('X-Kubernetes-Pf-Flowschema-Uid', flow.schema.metadata.uid ?? '');
    res.setHeader('X-Kubernetes-Pf-Prioritylevel-Uid', flow.level.uid);
    if (!flow.level.queue || LONG_SUBRESOURCES.has(info.subresource)) return NOTHING;
    const release = await this.#seat(flow, flow.level.queue, exchange);
    // A watch takes its seat for its beginning only.
    if (info.verb !== 'watch') return release;
    setImmediate(release);
    return NOTHING;
  }

  /** A table of what goes on, by the last word of its path; undefined where there is none. */
  dump(name: string): string | undefined {
    const dump = Object.hasOwn(DUMPS, name) ? DUMPS[name] : undefined;
    return dump?.([...this.#levels].map(([level, { queue }]) => ({ name: level, queue })));
  }

  async #seat(flow: Flow, queue: FairQueue, exchange: Exchange): Promise<() => void> {
    const { metrics, clock } = this.#deps;
    const began = clock.now();
    try {
      const release = await this.#acquire(flow, queue, exchange);
      metrics.dispatched(flow.labels, (clock.now() - began) / 1000);
      return () => {
        metrics.finished(flow.labels);
        release();
      };
    } catch (err) {
      if (!(err instanceof RejectedError)) throw err;
      metrics.rejected(flow.labels, err.reason);
      const message = 'Too many requests, please try again later.';
      throw new ApiError('TooManyRequests', message, {
        details: { retryAfterSeconds: RETRY_AFTER_SECONDS },
        cause: err,
      });
    }
  }

  async #acquire(flow: Flow, queue: FairQueue, exchange: Exchange): Promise<() => void> {
    const of = { flow: flow.name, schema: flow.schema.metadata.name };
    const { metrics } = this.#deps;
    const hasSeat = queue.executing < queue.limits.seats && queue.waiting === 0;
    if (hasSeat) return queue.acquire(of, NEVER);
    const stop = metrics.waiting(flow.labels);
    try {
      return await queue.acquire(of, disconnectSignal(exchange));
    } finally {
      stop();
    }
  }

  #classify({ user, info }: Exchange): Flow | undefined {
    const schema = this.#schemas.find((one) => matchesSchema(one, user, info));
    const level = this.#levels.get(schema?.spec?.priorityLevelConfiguration.name ?? '');
    if (!schema || !level) return undefined;
    const labels = {
      flow_schema: schema.metadata.name,
      priority_level: schema.spec?.priorityLevelConfiguration.name ?? '',
    };
    return { schema, level, labels, name: flowOf(schema, user, info) };
  }

  #useSchemas(schemas: readonly FlowSchema[]): void {
    const precedence = ({ spec }: FlowSchema): number => spec?.matchingPrecedence ?? 1000;
    this.#schemas = schemas.toSorted(
      (a, b) => precedence(a) - precedence(b) || (a.metadata.name < b.metadata.name ? -1 : 1),
    );
  }

  #useLevels(levels: readonly PriorityLevelConfiguration[]): void {
    const sum = levels.reduce((total, { spec }) => total + sharesOf(spec), 0);
    const kept = new Set<string>();
    for (const { metadata, spec } of levels) {
      kept.add(metadata.name);
      const seats = Math.ceil((this.#totalSeats * sharesOf(spec)) / Math.max(sum, 1));
      const queue = spec?.limited && this.#queueOf(metadata.name, limitsOf(spec, seats));
      this.#levels.set(metadata.name, { uid: metadata.uid ?? '', queue });
      this.#deps.metrics.limit(metadata.name, seats);
    }
    for (const name of this.#levels.keys()) if (!kept.has(name)) this.#levels.delete(name);
  }

  #queueOf(name: string, limits: LevelLimits): FairQueue {
    const known = this.#levels.get(name)?.queue;
    if (!known) return new FairQueue(limits, this.#deps.clock);
    known.limits = limits;
    return known;
  }

  #kind(type: { group: string; version: string; resource: string }): ResourceKind {
    const kind = this.#deps.kinds.get(type.group, type.version, type.resource);
    if (!kind) throw new Error(`The kind ${type.resource} is not declared`);
    return kind;
  }
}

const NEVER = new AbortController().signal;

type LevelSpec = PriorityLevelConfiguration['spec'];

function sharesOf(spec: LevelSpec): number {
  return (spec?.limited ?? spec?.exempt)?.nominalConcurrencyShares ?? 0;
}

function limitsOf(spec: LevelSpec, seats: number): LevelLimits {
  const { type, queuing } = spec?.limited?.limitResponse ?? {};
  if (type !== 'Queue') return { seats };
  const { queues = 64, handSize = 8, queueLengthLimit = 50 } = queuing ?? {};
  return { seats, queuing: { queues, handSize, queueLengthLimit } };
}

function parse<T>(bytes: Buffer): T {
  return parseObject(bytes) as unknown as T;
}
