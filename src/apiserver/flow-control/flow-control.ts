import { ApiError } from '../../api/errors.ts';
import { FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS } from '../../api/system-resource-types.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import { jsonEqual } from '../../util/json.ts';
import { disconnectSignal, type Exchange } from '../exchange.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ResourceKind } from '../resource-kind.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';
import { allocateSeats, type SeatRange, seatRange, sharesOf, smoothDemand } from './concurrency.ts';
import { DUMPS } from './dump.ts';
import { FairQueue, type LevelLimits, RejectedError } from './fair-queue.ts';
import { flowOf, matchesSchema } from './match.ts';
import type { FlowMetrics } from './metrics.ts';
import { listWork, makesEvents, mostSeats, ONE_SEAT, type Work, writeWork } from './work.ts';

export interface FlowControlDeps {
  readonly state: State;
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  readonly metrics: FlowMetrics;
}

interface Level {
  readonly uid: string;
  readonly spec: PriorityLevelConfiguration['spec'];
  readonly range: SeatRange;
  /** Undefined: exempt. */
  readonly queue: FairQueue | undefined;
  /** The demand that counts when seats are lent. */
  smooth: number;
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
// Upstream's borrowing period.
const LENDING_MS = 10_000;
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

  /** Lends seats of levels that do not need them to those that do, from time to time. */
  async lend(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(LENDING_MS, signal).catch(() => undefined);
      if (!signal.aborted) this.adjust();
    }
  }

  /** Deals the seats anew by what was asked for since the last time. */
  adjust(): void {
    const busy = [...this.#levels].flatMap(([name, level]) => {
      if (!level.queue) return [];
      const demand = level.queue.demand.take();
      level.smooth = smoothDemand(demand, level.smooth);
      return [{ name, level, queue: level.queue, high: demand.high }];
    });
    const claims = busy.map(({ level, high }) => ({ ...level, high }));
    const seats = allocateSeats(claims, this.#totalSeats);
    for (const [index, { name, level, queue }] of busy.entries()) {
      const own = seats[index] ?? level.range.nominal;
      queue.limits = limitsOf(level.spec, own);
      this.#deps.metrics.limit(name, level.range, own);
    }
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
    const work = this.#workOf(flow, exchange);
    const of = { flow: flow.name, schema: flow.schema.metadata.name, ...work };
    const { metrics } = this.#deps;
    if (queue.hasRoom(work.width)) return queue.acquire(of, NEVER);
    const stop = metrics.waiting(flow.labels);
    try {
      return await queue.acquire(of, disconnectSignal(exchange));
    } finally {
      stop();
    }
  }

  #workOf({ level, labels }: Flow, { info, query }: Exchange): Work {
    const isWrite = makesEvents(info);
    if (!isWrite && info.verb !== 'list') return ONE_SEAT;
    const { kinds, state, metrics } = this.#deps;
    const kind = kinds.get(info.group, info.version, info.resource);
    const most = mostSeats(level.range.nominal);
    if (isWrite) {
      const watches = kind ? state.watchersOf(kind, info) : 0;
      metrics.watched(labels, watches);
      return writeWork(watches, most);
    }
    const all = kind ? (state.sizeOf(kind) ?? 0) : 0;
    const limit = Number(query.get('limit') ?? 0);
    const selects = query.has('labelSelector') || query.has('fieldSelector');
    return listWork(limit > 0 && !selects ? Math.min(limit, all) : all, most);
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
      const { name, uid = '' } = metadata;
      const range = seatRange(spec, sum, this.#totalSeats);
      const known = this.#levels.get(name);
      // What it was lent stays with it while nothing but its status changes.
      if (known && jsonEqual([known.spec, known.range, known.uid], [spec, range, uid])) continue;
      const queue = spec?.limited && this.#queueOf(name, limitsOf(spec, range.nominal));
      this.#levels.set(name, { uid, spec, range, queue, smooth: known?.smooth ?? 0 });
      this.#deps.metrics.limit(name, range, range.nominal);
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

function limitsOf(spec: LevelSpec, seats: number): LevelLimits {
  const { type, queuing } = spec?.limited?.limitResponse ?? {};
  if (type !== 'Queue') return { seats };
  const { queues = 64, handSize = 8, queueLengthLimit = 50 } = queuing ?? {};
  return { seats, queuing: { queues, handSize, queueLengthLimit } };
}

function parse<T>(bytes: Buffer): T {
  return parseObject(bytes) as unknown as T;
}
