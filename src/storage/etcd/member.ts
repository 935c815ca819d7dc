import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkServerIdentity } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import type { Header } from './messages.ts';

export interface EtcdOptions {
  /** `https://HOST:2379`, several of one cluster. */
  readonly endpoints: readonly string[];
  /** PEM. */
  readonly authority?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export type Methods = Readonly<Record<string, grpc.MethodDefinition<object, object>>>;

interface Call {
  readonly method: string;
  readonly request: object;
  readonly timeoutMs: number;
}

// A member that does not answer a connection attempt for so long is left for the next one.
const CONNECT_MS = 2_000;
// Who comes while it is known to be away waits no longer than this.
const STILL_AWAY_MS = 100;
/** How often a silent member is asked for its term while proposals wait. */
const TERM_MS = 250;
const STATUS_MS = 2_000;
/** Answers of one moment overtake each other by less than this. */
const OVERTAKING_MS = 100;
/** By then an answer has come that is older than another one. */
const ANSWERED_MS = 1_000;
const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A member that freezes is noticed after the two together. etcd takes pings every five seconds.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

interface Proposal {
  /** What the member had last said when it was sent. */
  readonly term: number;
  isLost(): void;
}

/** One member of an etcd cluster, as a client sees it. */
export class Member {
  readonly #client: grpc.Client;
  readonly #methods: Methods;
  readonly #proposals = new Set<Proposal>();
  #isAway = false;
  /** Of the last entry that it has applied. Unknown: 0. */
  #term = 0;
  #isSilent = false;
  #asking: NodeJS.Timeout | undefined;
  readonly #losing = new Set<NodeJS.Timeout>();

  constructor(endpoint: string, options: EtcdOptions, methods: Methods) {
    this.#client = channelTo(endpoint, options);
    this.#methods = methods;
  }

  /** Resolves while it is connected. */
  connected(): Promise<void> | void {
    if (this.#client.getChannel().getConnectivityState(true) === grpc.connectivityState.READY) {
      this.#isAway = false;
      return;
    }
    const deadline = Date.now() + (this.#isAway ? STILL_AWAY_MS : CONNECT_MS);
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(deadline, (err) => {
        this.#isAway = err !== undefined;
        if (err) reject(err);
        else resolve();
      });
    });
  }

  ask<Response>({ method, request, timeoutMs }: Call): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => Response,
        request,
        requireLeader(),
        { deadline: Date.now() + timeoutMs },
        (err, response) => {
          if (err) return reject(err);
          this.#heard((response as { header?: Header } | undefined)?.header?.raftTerm);
          resolve(response as Response);
        },
      );
    });
  }

  /**
   * For what may be sent twice, since it is done once at most. What a member has handed on to a leader that dies is lost;
   * etcd itself lets us wait for it for seven seconds. An entry of a later term tells: all that came before has been
   * applied, and what is not answered by then is sent again. `isDone`: whether an answer says that it was done. If the second try
   * was not, the first may have been, shortly before: then its answer is on the way, and decides.
   */
  async propose<Response>(call: Call, isDone: (response: Response) => boolean): Promise<Response> {
    const lost = Promise.withResolvers<void>();
    const proposal = { term: this.#term, isLost: () => lost.resolve() };
    const first = this.ask<Response>(call);
    first.catch(lost.reject);
    let isSentAgain = false;
    const again = lost.promise
      .then(() => {
        isSentAgain = true;
        return this.ask<Response>(call);
      })
      .then((response) =>
        isDone(response) ? response : Promise.race([first, sleep(ANSWERED_MS, response)]),
      );
    // It may be refused because the second try was done, whose answer it overtakes.
    const late = first.then((response) =>
      isDone(response) || !isSentAgain
        ? response
        : Promise.race([again, sleep(ANSWERED_MS, response)]),
    );
    this.#proposals.add(proposal);
    this.#askWhileSilent();
    try {
      return await Promise.any([late, again]);
    } catch {
      return await first;
    } finally {
      this.#proposals.delete(proposal);
    }
  }

  duplex<Request, Response>(method: string): grpc.ClientDuplexStream<Request, Response> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    return this.#client.makeBidiStreamRequest(
      path,
      requestSerialize as (value: Request) => Buffer,
      responseDeserialize as (bytes: Buffer) => Response,
      requireLeader(),
    );
  }

  close(): void {
    clearInterval(this.#asking);
    for (const timer of this.#losing) clearTimeout(timer);
    this.#client.close();
  }

  #method(name: string): grpc.MethodDefinition<object, object> {
    const method = this.#methods[name];
    if (!method) throw new Error(`Unknown method: ${name}`);
    return method;
  }

  #heard(term = 0): void {
    this.#isSilent = false;
    const before = this.#term;
    if (term <= before) return;
    this.#term = term;
    if (before === 0) return;
    const lost = [...this.#proposals].filter((proposal) => proposal.term < term);
    const timer = setTimeout(() => {
      this.#losing.delete(timer);
      for (const proposal of lost) if (this.#proposals.has(proposal)) proposal.isLost();
    }, OVERTAKING_MS);
    this.#losing.add(timer);
  }

  /** Where all wait for lost proposals, nobody would hear of the new term. */
  #askWhileSilent(): void {
    if (this.#asking) return;
    this.#isSilent = false;
    this.#asking = setInterval(() => {
      if (this.#proposals.size === 0) {
        clearInterval(this.#asking);
        this.#asking = undefined;
      } else if (this.#isSilent) {
        this.ask({ method: 'Maintenance.Status', request: {}, timeoutMs: STATUS_MS }).catch(
          () => {},
        );
      }
      this.#isSilent = true;
    }, TERM_MS);
    this.#asking.unref();
  }
}

/** A member that has lost the others refuses, rather than wait for them. */
function requireLeader(): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('hasleader', 'true');
  return metadata;
}

function channelTo(endpoint: string, options: EtcdOptions): grpc.Client {
  const { protocol, host, hostname } = new URL(endpoint);
  if (protocol !== 'https:') {
    return new grpc.Client(host, grpc.credentials.createInsecure(), CHANNEL_OPTIONS);
  }
  const { authority, key, certificate } = options;
  const pem = (text: string | undefined): Buffer | null => (text ? Buffer.from(text) : null);
  const address = hostname.replace(/^\[|\]$/g, '');
  const isAddress = isIP(address) !== 0;
  const credentials = grpc.credentials.createSsl(pem(authority), pem(key), pem(certificate), {
    checkServerIdentity: (name, shown) => checkServerIdentity(isAddress ? address : name, shown),
  });
  // The name that TLS sends may not be an address, which is what the library would send.
  const name = isAddress ? { 'grpc.ssl_target_name_override': 'etcd' } : {};
  return new grpc.Client(host, credentials, { ...CHANNEL_OPTIONS, ...name });
}
