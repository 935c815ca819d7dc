import { randomBytes } from 'node:crypto';
import type { Question } from 'dns-packet';
import type { Clock } from '../util/clock.ts';
import { TtlCache } from './cache.ts';
import type { ForwardedAnswer } from './forwarded-answer.ts';
import { type Upstream, Upstreams } from './upstreams.ts';
import type { Forwarded } from './wire.ts';

export interface Forwarder {
  /** The answer of the first upstream server that gives one; undefined when none does. */
  ask(question: Question, signal: AbortSignal): Promise<Forwarded | undefined>;
}

export interface ForwarderDeps {
  readonly clock: Clock;
  readonly onCache?: (hit: boolean) => void;
  /** Told of a server that turned out to ask us what we ask it. */
  readonly onLoop?: (upstream: Upstream) => void;
}

const CACHE_CAPACITY = 9_984;
const MAX_TTL_SECONDS = 30;
/** RFC 9520: who could not be answered is not asked about again at once. */
const FAILURE_TTL_SECONDS = 5;
/** Questions on the way at the same time; CoreDNS's limit. */
const MAX_CONCURRENT = 1_000;

/** The `nameserver` lines of a resolv.conf, without those that are this server itself. Pure. */
export function parseResolvConf(text: string, own: readonly string[]): Upstream[] {
  const hosts = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, host = '']) => host);
  return hosts.filter((host) => !own.includes(host)).map((host) => ({ host, port: 53 }));
}

/** The search path of a resolv.conf: the last line counts (resolv.conf(5)). Pure. */
export function searchesOf(text: string): string[] {
  const [, line = ''] = [...text.matchAll(/^\s*search\s+(.*)$/gm)].at(-1) ?? [];
  return line.split(/\s+/).filter((suffix) => suffix !== '' && suffix !== '.');
}

/** Asks upstream servers once for what several want to know, and remembers: answers, denials, and failures. */
export class CachingForwarder implements Forwarder {
  readonly #upstreams: Upstreams;
  readonly #all: readonly Upstream[];
  readonly #deps: ForwarderDeps;
  readonly #cache: TtlCache<ForwardedAnswer | 'failed'>;
  readonly #pending = new Map<string, Promise<ForwardedAnswer | undefined>>();
  readonly #probes = new Map<string, Upstream>();

  constructor(upstreams: readonly Upstream[], deps: ForwarderDeps) {
    this.#all = upstreams;
    this.#upstreams = new Upstreams(upstreams, deps.clock);
    this.#deps = deps;
    this.#cache = new TtlCache(deps.clock, CACHE_CAPACITY);
  }

  async ask(question: Question, signal: AbortSignal): Promise<Forwarded | undefined> {
    const name = question.name.toLowerCase();
    if (this.#isOwnProbe(name)) return undefined;
    const key = `${question.type} ${name}`;
    const cached = this.#cache.get(key);
    this.#deps.onCache?.(cached !== undefined);
    if (cached?.value === 'failed') return undefined;
    if (cached) return { forwarded: cached.value, ageSeconds: cached.ageSeconds };
    const forwarded = await (this.#pending.get(key) ?? this.#start(key, question, signal));
    return forwarded && { forwarded, ageSeconds: 0 };
  }

  /**
   * Asks each server for a name that nobody else knows. If the question comes back here, the server forwards to us, and
   * every name would go round for ever: it is not asked any more.
   */
  async findLoops(signal: AbortSignal): Promise<void> {
    const probe = async (upstream: Upstream) => {
      const name = `${randomBytes(8).toString('hex')}.k8ts-loop`;
      this.#probes.set(name, upstream);
      const question: Question = { type: 'HINFO', name, class: 'IN' };
      await new Upstreams([upstream], this.#deps.clock).ask(question, signal);
      this.#probes.delete(name);
    };
    await Promise.all(this.#all.map(probe));
  }

  #isOwnProbe(name: string): boolean {
    const upstream = this.#probes.get(name);
    if (!upstream) return false;
    this.#probes.delete(name);
    this.#upstreams.remove(upstream);
    this.#deps.onLoop?.(upstream);
    return true;
  }

  async #start(
    key: string,
    question: Question,
    signal: AbortSignal,
  ): Promise<ForwardedAnswer | undefined> {
    if (this.#pending.size >= MAX_CONCURRENT) return undefined;
    const asking = this.#upstreams.ask(question, signal).catch(() => undefined);
    this.#pending.set(key, asking);
    const answer = await asking;
    this.#pending.delete(key);
    if (answer) this.#cache.set(key, answer, Math.min(answer.ttl, MAX_TTL_SECONDS));
    else if (!signal.aborted) this.#cache.set(key, 'failed', FAILURE_TTL_SECONDS);
    return answer;
  }
}
