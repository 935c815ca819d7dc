import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Clock } from '../../util/clock.ts';
import { joinHostPort } from '../../util/ip.ts';
import type { Endpoint } from '../model.ts';
import type { EndpointPicker } from './endpoint-picker.ts';
import type { Relay } from './relay.ts';

// A flow that was silent for so long is over: UDP has no other end. As long as the kernel remembers a two-way flow.
const IDLE_MS = 120_000;
// Each flow holds a socket.
const MAX_FLOWS = 4_096;

interface Flow {
  readonly socket: Socket;
  readonly endpoint: Endpoint;
  usedAt: number;
}

/** Passes a client's datagrams to one endpoint by a socket of its own, so that answers find the way back. */
export class UdpRelay implements Relay {
  readonly #picker: EndpointPicker;
  readonly #clock: Clock;
  #server: Socket | undefined;
  /** By the client's address and port, in the order of last use. */
  readonly #flows = new Map<string, Flow>();
  #cancelSweep: (() => void) | undefined;

  constructor(picker: EndpointPicker, clock: Clock) {
    this.#picker = picker;
    this.#clock = clock;
  }

  listen(host: string): Promise<number> {
    const server = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    this.#server = server;
    server.on('message', (data, client) => this.#pass(data, client));
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.bind({ address: host, port: 0 }, () => {
        server.off('error', reject);
        server.on('error', () => {}); // A client that is gone: nobody waits for the answer.
        resolve(server.address().port);
      });
    });
  }

  endpointsChanged(): void {
    const left = new Set(this.#picker.endpoints.map(({ address }) => address));
    for (const [client, { endpoint }] of this.#flows) {
      if (!left.has(endpoint.address)) this.#end(client);
    }
  }

  close(): void {
    for (const client of this.#flows.keys()) this.#end(client);
    this.#cancelSweep?.();
    this.#server?.close();
    this.#server = undefined;
  }

  #pass(data: Buffer, peer: RemoteInfo): void {
    const client = joinHostPort(peer.address, peer.port);
    const flow = this.#flows.get(client) ?? this.#begin(peer);
    if (!flow) return;
    flow.usedAt = this.#clock.now();
    this.#flows.delete(client);
    this.#flows.set(client, flow);
    const { ip, port } = flow.endpoint;
    flow.socket.send(data, port, ip);
  }

  #begin(peer: RemoteInfo): Flow | undefined {
    const endpoint = this.#picker.pick(peer.address);
    if (!endpoint) return undefined;
    const oldest = this.#flows.keys().next();
    if (this.#flows.size >= MAX_FLOWS && !oldest.done) this.#end(oldest.value);
    const socket = createSocket(endpoint.ip.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', () => this.#end(joinHostPort(peer.address, peer.port)));
    socket.on('message', (answer, { address, port }) => {
      // Nobody but the endpoint may answer for it.
      if (address !== endpoint.ip || port !== endpoint.port) return;
      this.#server?.send(answer, peer.port, peer.address);
    });
    this.#cancelSweep ??= this.#clock.after(IDLE_MS, () => this.#sweep());
    return { socket, endpoint, usedAt: this.#clock.now() };
  }

  #end(client: string): void {
    this.#flows.get(client)?.socket.close();
    this.#flows.delete(client);
  }

  #sweep(): void {
    const before = this.#clock.now() - IDLE_MS;
    for (const [client, { usedAt }] of this.#flows) {
      if (usedAt > before) break;
      this.#end(client);
    }
    this.#cancelSweep =
      this.#flows.size === 0 ? undefined : this.#clock.after(IDLE_MS / 4, () => this.#sweep());
  }
}
