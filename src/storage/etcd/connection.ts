import { isIP } from 'node:net';
import { join } from 'node:path';
import { checkServerIdentity } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { PROTO_DIR } from '../../util/grpc.ts';

export interface EtcdOptions {
  /** `https://HOST:2379`, several of one cluster. */
  readonly endpoints: readonly string[];
  /** PEM. */
  readonly authority?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

type Methods = Record<string, grpc.MethodDefinition<object, object>>;
type Channel = grpc.Client;

const PROTO = join(PROTO_DIR, 'etcd.proto');
// A member that does not answer a connection attempt for so long is left for the next one.
const CONNECT_MS = 2_000;
const CALL_MS = 10_000;
const MAINTENANCE_MS = 300_000;
const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A member that freezes is noticed after the two together. etcd takes pings every five seconds.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

/** Calls to an etcd cluster: the member that answered last is asked first, the others when it is away. */
export class EtcdConnection {
  readonly #channels: readonly Channel[];
  readonly #methods: Readonly<Methods>;
  #preferred = 0;

  /** `longs`: members' names for each other are numbers too large for JavaScript's. */
  constructor(options: EtcdOptions, longs: typeof Number | typeof String = Number) {
    this.#methods = methodsOf(longs);
    this.#channels = options.endpoints.map((endpoint) => channelTo(endpoint, options));
  }

  /** Only asks a member that is connected, so that a call is sent at most once. */
  async call<Response>(method: string, request: object): Promise<Response> {
    const channel = await this.#connected();
    try {
      return await this.#ask<Response>(channel, method, { request, timeoutMs: CALL_MS });
    } catch (err) {
      if (isAway(err)) this.#avoid(channel);
      throw err;
    }
  }

  /** For calls that may be repeated: asks each member once, until one answers. */
  async callAgain<Response>(method: string, request: object): Promise<Response> {
    for (let left = this.#channels.length; ; left--) {
      try {
        return await this.call<Response>(method, request);
      } catch (err) {
        if (left <= 1 || !isAway(err)) throw err;
      }
    }
  }

  async onEveryMember(method: string, request: object): Promise<void> {
    for (const channel of this.#channels) {
      await ready(channel);
      await this.#ask(channel, method, { request, timeoutMs: MAINTENANCE_MS });
    }
  }

  async duplex<Request, Response>(
    method: string,
  ): Promise<grpc.ClientDuplexStream<Request, Response>> {
    const channel = await this.#connected();
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    const stream = channel.makeBidiStreamRequest(
      path,
      requestSerialize as (value: Request) => Buffer,
      responseDeserialize as (bytes: Buffer) => Response,
      requireLeader(),
    );
    stream.on('error', (err) => {
      if (isAway(err)) this.#avoid(channel);
    });
    return stream;
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }

  #method(name: string): grpc.MethodDefinition<object, object> {
    const method = this.#methods[name];
    if (!method) throw new Error(`Unknown method: ${name}`);
    return method;
  }

  #ask<Response>(
    channel: Channel,
    method: string,
    { request, timeoutMs }: { request: object; timeoutMs: number },
  ): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    return new Promise((resolve, reject) => {
      channel.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => Response,
        request,
        requireLeader(),
        { deadline: Date.now() + timeoutMs },
        (err, response) => {
          if (err) reject(err);
          else resolve(response as Response);
        },
      );
    });
  }

  /** The next call goes to another member: this one is away, or has lost the others. */
  #avoid(channel: Channel): void {
    const index = this.#channels.indexOf(channel);
    if (index === this.#preferred) this.#preferred = (index + 1) % this.#channels.length;
  }

  async #connected(): Promise<Channel> {
    let last: unknown;
    for (let i = 0; i < this.#channels.length; i++) {
      const index = (this.#preferred + i) % this.#channels.length;
      const channel = this.#channels[index];
      if (!channel) continue;
      try {
        await ready(channel);
        this.#preferred = index;
        return channel;
      } catch (err) {
        last = err;
      }
    }
    throw new Error(
      'No etcd endpoint can be reached: check the addresses and the certificates of both sides',
      { cause: last },
    );
  }
}

function methodsOf(longs: typeof Number | typeof String): Methods {
  const definitions = loadSync(PROTO, {
    keepCase: false,
    longs,
    enums: String,
    defaults: true,
    arrays: true,
    oneofs: true,
  });
  const methods: Methods = {};
  for (const service of ['KV', 'Watch', 'Lease', 'Maintenance', 'Cluster']) {
    const found = definitions[`etcdserverpb.${service}`] as unknown as Methods;
    for (const [name, method] of Object.entries(found)) methods[`${service}.${name}`] = method;
  }
  return methods;
}

/** A member that has lost the others refuses, rather than wait for them. */
function requireLeader(): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('hasleader', 'true');
  return metadata;
}

function isAway(err: unknown): boolean {
  const code = (err as { code?: number }).code;
  return code === grpc.status.UNAVAILABLE || code === grpc.status.DEADLINE_EXCEEDED;
}

function ready(channel: Channel): Promise<void> | void {
  if (channel.getChannel().getConnectivityState(true) === grpc.connectivityState.READY) return;
  return new Promise((resolve, reject) => {
    channel.waitForReady(Date.now() + CONNECT_MS, (err) => (err ? reject(err) : resolve()));
  });
}

function channelTo(endpoint: string, options: EtcdOptions): Channel {
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
