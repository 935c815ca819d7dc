import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { errorMessage } from '../../util/errors.ts';
import { PROTO_DIR } from '../../util/grpc.ts';
import { type EtcdOptions, Member, type Methods } from './member.ts';

export type { EtcdOptions };

const PROTO = join(PROTO_DIR, 'etcd.proto');
const CALL_MS = 10_000;
const MAINTENANCE_MS = 300_000;

/** Calls to an etcd cluster: the member that answered last is asked first, the others when it is away. */
export class EtcdConnection {
  readonly #members: readonly Member[];
  #preferred = 0;

  /** `longs`: members' names for each other are numbers too large for JavaScript's. */
  constructor(options: EtcdOptions, longs: typeof Number | typeof String = Number) {
    const methods = methodsOf(longs);
    this.#members = options.endpoints.map((endpoint) => new Member(endpoint, options, methods));
  }

  /** Only asks a member that is connected, so that a call is sent at most once. */
  call<Response>(method: string, request: object): Promise<Response> {
    const call = { method, request, timeoutMs: CALL_MS };
    return this.#withMember((member) => member.ask<Response>(call));
  }

  /** For what is done at most once though it be sent twice: sent again when a new leader knows nothing of it. */
  propose<Response>(
    method: string,
    request: object,
    isDone: (response: Response) => boolean,
  ): Promise<Response> {
    const call = { method, request, timeoutMs: CALL_MS };
    return this.#withMember((member) => member.propose<Response>(call, isDone));
  }

  /** For calls that may be repeated: asks each member once, until one answers; one that has just got a new leader, twice. */
  async callAgain<Response>(method: string, request: object): Promise<Response> {
    let left = this.#members.length;
    for (let hasChanged = false; ; ) {
      try {
        return await this.call<Response>(method, request);
      } catch (err) {
        if (!hasChanged && errorMessage(err).includes('leader changed')) hasChanged = true;
        else if (--left < 1 || !isAway(err)) throw err;
      }
    }
  }

  async onEveryMember(method: string, request: object): Promise<void> {
    for (const member of this.#members) {
      await member.connected();
      await member.ask({ method, request, timeoutMs: MAINTENANCE_MS });
    }
  }

  async duplex<Request, Response>(
    method: string,
  ): Promise<grpc.ClientDuplexStream<Request, Response>> {
    const member = await this.#connected();
    const stream = member.duplex<Request, Response>(method);
    stream.on('error', (err) => {
      if (isAway(err)) this.#avoid(member);
    });
    return stream;
  }

  close(): void {
    for (const member of this.#members) member.close();
  }

  async #withMember<Response>(ask: (member: Member) => Promise<Response>): Promise<Response> {
    const member = await this.#connected();
    try {
      return await ask(member);
    } catch (err) {
      if (isAway(err)) this.#avoid(member);
      throw err;
    }
  }

  /** The next call goes to another member: this one is away, or has lost the others. */
  #avoid(member: Member): void {
    const index = this.#members.indexOf(member);
    if (index === this.#preferred) this.#preferred = (index + 1) % this.#members.length;
  }

  async #connected(): Promise<Member> {
    let last: unknown;
    for (let i = 0; i < this.#members.length; i++) {
      const index = (this.#preferred + i) % this.#members.length;
      const member = this.#members[index];
      if (!member) continue;
      try {
        await member.connected();
        this.#preferred = index;
        return member;
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
  const methods: Record<string, grpc.MethodDefinition<object, object>> = {};
  for (const service of ['KV', 'Watch', 'Lease', 'Maintenance', 'Cluster']) {
    const found = definitions[`etcdserverpb.${service}`] as unknown as Methods;
    for (const [name, method] of Object.entries(found)) methods[`${service}.${name}`] = method;
  }
  return methods;
}

function isAway(err: unknown): boolean {
  const code = (err as { code?: number }).code;
  return code === grpc.status.UNAVAILABLE || code === grpc.status.DEADLINE_EXCEEDED;
}
