import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import dnsPacket, {
  type DecodedPacket,
  type Question,
  type Answer as WireAnswer,
} from 'dns-packet';
import type { Clock } from '../util/clock.ts';
import { TtlCache } from './cache.ts';
import { RCODE, type Rcode, type Reply } from './wire.ts';

export interface Upstream {
  readonly host: string;
  readonly port: number;
}

export interface Forwarder {
  /** The answer of the first upstream server that gives one; undefined when none does. */
  ask(question: Question, signal: AbortSignal): Promise<Reply | undefined>;
}

const TIMEOUT_MS = 2_000;
const CACHE_CAPACITY = 9_984;
const MAX_TTL_SECONDS = 30;
const TRUNCATED = 0x0200;

/** The `nameserver` lines of a resolv.conf, without those that are this server itself. Pure. */
export function parseResolvConf(text: string, own: readonly string[]): Upstream[] {
  const hosts = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, host = '']) => host);
  return hosts.filter((host) => !own.includes(host)).map((host) => ({ host, port: 53 }));
}

/** Asks upstream servers in their order, over TCP where an answer does not fit; remembers answers, negative ones too. */
export class CachingForwarder implements Forwarder {
  readonly #upstreams: readonly Upstream[];
  readonly #cache: TtlCache<Reply>;
  readonly #onCache: (hit: boolean) => void;

  constructor(
    upstreams: readonly Upstream[],
    deps: { clock: Clock; onCache?: (hit: boolean) => void },
  ) {
    this.#upstreams = upstreams;
    this.#cache = new TtlCache(deps.clock, CACHE_CAPACITY);
    this.#onCache = deps.onCache ?? (() => {});
  }

  async ask(question: Question, signal: AbortSignal): Promise<Reply | undefined> {
    const key = `${question.type} ${question.name.toLowerCase()}`;
    const cached = this.#cache.get(key);
    this.#onCache(cached !== undefined);
    if (cached) return aged(cached.value, cached.ageSeconds);
    for (const upstream of this.#upstreams) {
      const answer = await this.#askOne(upstream, question, signal).catch(() => undefined);
      if (!answer || answer.rcode === 'SERVFAIL') continue;
      this.#cache.set(key, answer, ttlOf(answer));
      return answer;
    }
    return undefined;
  }

  async #askOne(upstream: Upstream, question: Question, signal: AbortSignal): Promise<Reply> {
    const id = randomInt(65_536);
    const query = dnsPacket.encode({
      type: 'query',
      id,
      flags: dnsPacket.RECURSION_DESIRED,
      questions: [question],
    });
    const accept = (packet: DecodedPacket) => isAnswerTo(packet, id, question);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const packet = await overUdp(upstream, query, { accept, signal: limit });
    if ((packet.flags ?? 0) & TRUNCATED) return toReply(await overTcp(upstream, query, limit));
    return toReply(packet);
  }
}

function isAnswerTo(packet: DecodedPacket, id: number, question: Question): boolean {
  const [asked] = packet.questions ?? [];
  return (
    packet.type === 'response' &&
    packet.id === id &&
    asked?.type === question.type &&
    asked.name.toLowerCase() === question.name.toLowerCase()
  );
}

/** Each question has a socket, and so a source port, of its own: hard to guess for forgers. */
function overUdp(
  { host, port }: Upstream,
  query: Buffer,
  { accept, signal }: { accept: (packet: DecodedPacket) => boolean; signal: AbortSignal },
): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const end = (act: () => void) => {
      signal.removeEventListener('abort', abort);
      socket.close();
      act();
    };
    const abort = () => end(() => reject(signal.reason));
    signal.addEventListener('abort', abort);
    socket.once('error', (err) => end(() => reject(err)));
    socket.on('message', (message) => {
      try {
        const packet = dnsPacket.decode(message);
        if (accept(packet)) end(() => resolve(packet));
      } catch {
        // Not an answer; the right one may still come.
      }
    });
    socket.connect(port, host, () => socket.send(query));
  });
}

function overTcp(
  { host, port }: Upstream,
  query: Buffer,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    let received = Buffer.alloc(0);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('The upstream server closed the connection')));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, Buffer.from(chunk)]);
      if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) return;
      try {
        resolve(dnsPacket.decode(received, 2));
      } catch (err) {
        reject(err);
      }
      socket.destroy();
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}

function toReply(packet: DecodedPacket): Reply {
  const code = (packet.flags ?? 0) & 0xf;
  const names = Object.keys(RCODE) as Rcode[];
  const withoutEdns = (records: WireAnswer[] = []) => records.filter(({ type }) => type !== 'OPT');
  return {
    rcode: names.find((name) => RCODE[name] === code) ?? 'SERVFAIL',
    authoritative: false,
    answers: withoutEdns(packet.answers),
    authorities: withoutEdns(packet.authorities),
    additionals: withoutEdns(packet.additionals),
  };
}

/** The shortest time to live of an answer; of a negative one, the SOA's (RFC 2308). */
function ttlOf({ answers, authorities }: Reply): number {
  const ttls = (answers.length > 0 ? answers : authorities).map((record) =>
    'ttl' in record ? (record.ttl ?? 0) : 0,
  );
  return ttls.length === 0 ? 0 : Math.min(MAX_TTL_SECONDS, ...ttls);
}

function aged(reply: Reply, seconds: number): Reply {
  const older = (record: WireAnswer) =>
    'ttl' in record
      ? ({ ...record, ttl: Math.max(0, (record.ttl ?? 0) - seconds) } as WireAnswer)
      : record;
  return { ...reply, answers: reply.answers.map(older), authorities: reply.authorities.map(older) };
}
