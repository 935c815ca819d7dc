import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import dnsPacket, { type Question } from 'dns-packet';
import type { Clock } from '../util/clock.ts';
import { ForwardedAnswer, HEADER_BYTES, questionEnd } from './forwarded-answer.ts';
import { EDNS_LIMIT, RCODE } from './wire.ts';

export interface Upstream {
  readonly host: string;
  readonly port: number;
}

/** With two tries at each of two servers, an answer or SERVFAIL comes before the asker gives up (5 s as a rule). */
const TIMEOUT_MS = 1_000;
/** With EDNS first; a server that does not know it gets a second, plain question. */
const TRIES = [{ edns: true }, { edns: false }];
/** A server that did not answer is left alone so long: meanwhile nobody waits for it. */
const DOWN_MS = 5_000;

/** The servers that are asked for names outside, in their order. */
export class Upstreams {
  readonly #servers: { readonly upstream: Upstream; downUntil: number }[];
  readonly #clock: Clock;

  constructor(upstreams: readonly Upstream[], clock: Clock) {
    this.#servers = upstreams.map((upstream) => ({ upstream, downUntil: 0 }));
    this.#clock = clock;
  }

  /** The first answer that is one; undefined when no server gives one. Does not wait for servers that are down. */
  async ask(question: Question, signal: AbortSignal): Promise<ForwardedAnswer | undefined> {
    for (const server of this.#servers) {
      if (server.downUntil > this.#clock.now()) continue;
      const { answer, silent } = await askOne(server.upstream, question, signal);
      signal.throwIfAborted();
      if (answer) return answer;
      if (silent) server.downUntil = this.#clock.now() + DOWN_MS;
    }
    return undefined;
  }

  /** Takes a server out for good. */
  remove(upstream: Upstream): void {
    const index = this.#servers.findIndex((server) => server.upstream === upstream);
    if (index >= 0) this.#servers.splice(index, 1);
  }
}

/** `silent`: it did not answer at all. A refusal or a failure of its own leads to the next server as well. */
async function askOne(
  upstream: Upstream,
  question: Question,
  signal: AbortSignal,
): Promise<{ answer?: ForwardedAnswer; silent: boolean }> {
  let silent = true;
  for (const { edns } of TRIES) {
    try {
      const answer = await exchange(upstream, queryFor(question, edns), signal);
      silent = false;
      if (answer.rcode === RCODE.NOERROR || answer.rcode === RCODE.NXDOMAIN)
        return { answer, silent };
    } catch {
      signal.throwIfAborted();
    }
  }
  return { silent };
}

function queryFor(question: Question, edns: boolean): Buffer {
  const opt = { type: 'OPT', name: '.', udpPayloadSize: EDNS_LIMIT, flags: 0, options: [] };
  return dnsPacket.encode({
    type: 'query',
    id: randomInt(65_536),
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [question],
    additionals: edns ? [opt as never] : [],
  });
}

async function exchange(
  upstream: Upstream,
  query: Buffer,
  signal: AbortSignal,
): Promise<ForwardedAnswer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const answer = await overUdp(upstream, query, limit);
  return answer.truncated ? await overTcp(upstream, query, limit) : answer;
}

/** Throws when the message does not answer the query. Servers may spell the name otherwise. */
function accept(message: Buffer, query: Buffer): ForwardedAnswer {
  const isResponse = ((message[2] ?? 0) & 0x80) !== 0;
  if (!isResponse || message.readUInt16BE(0) !== query.readUInt16BE(0))
    throw new RangeError('Not it');
  const asked = (bytes: Buffer) =>
    bytes.toString('latin1', HEADER_BYTES, questionEnd(bytes)).toLowerCase();
  if (asked(query) !== asked(message)) throw new RangeError('An answer to another question');
  return new ForwardedAnswer(message);
}

/** Each question has a socket, and so a source port, of its own: hard to guess for forgers. */
function overUdp(
  { host, port }: Upstream,
  query: Buffer,
  signal: AbortSignal,
): Promise<ForwardedAnswer> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    let ended = false;
    const end = (act: () => void) => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', abort);
      socket.close();
      act();
    };
    const abort = () => end(() => reject(signal.reason));
    signal.addEventListener('abort', abort);
    socket.on('error', (err) => end(() => reject(err)));
    socket.on('message', (message) => {
      try {
        const answer = accept(message, query);
        end(() => resolve(answer));
      } catch {
        // Not the answer; the right one may still come.
      }
    });
    socket.connect(port, host, (err?: Error) => {
      if (err) end(() => reject(err));
      else if (!ended) socket.send(query);
    });
  });
}

function overTcp(
  { host, port }: Upstream,
  query: Buffer,
  signal: AbortSignal,
): Promise<ForwardedAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    let received = Buffer.alloc(0);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('The upstream server closed the connection')));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, Buffer.from(chunk)]);
      if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) return;
      try {
        resolve(accept(received.subarray(2, received.readUInt16BE(0) + 2), query));
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
