import { connect, createServer, type Server, type Socket } from 'node:net';
import { errnoOf } from '../../util/errors.ts';
import type { Endpoint } from '../model.ts';
import type { EndpointPicker } from './endpoint-picker.ts';
import type { Relay } from './relay.ts';

// How long each try to reach an endpoint may take. An endpoint that is going away is passed over quickly.
const DIAL_TIMEOUTS_MS = [250, 500, 1_000, 2_000];

// The end of the range that the kernel itself takes ports from; beyond it are other people's.
const LAST_PORT = 60_999;

/**
 * Ports of one address, each asked for by its number: when the kernel is to find a free one, it looks the longer the more are
 * taken, which with 10,000 is some milliseconds for each.
 */
export class PortRow {
  #next = 0;

  /** The next to try; 0 where the kernel is to choose. */
  get next(): number {
    return this.#next;
  }

  took(port: number): void {
    // Every other one, as the kernel does: those between are for connections.
    this.#next = port + 2 > LAST_PORT ? 0 : port + 2;
  }
}

/** Accepts connections and copies bytes between each and one to an endpoint. */
export class TcpRelay implements Relay {
  readonly #picker: EndpointPicker;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #ports: PortRow;

  /** `sockets` holds all that is open, for whoever ends them: connections outlive their relay. */
  constructor(picker: EndpointPicker, sockets: Set<Socket>, ports: PortRow) {
    this.#picker = picker;
    this.#sockets = sockets;
    this.#ports = ports;
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    this.#server = createServer(options, (client) => void this.#serve(client));
  }

  async listen(host: string): Promise<number> {
    const port = await this.#listen(host, this.#ports.next).catch((err: unknown) => {
      if (this.#ports.next === 0 || errnoOf(err) !== 'EADDRINUSE') throw err;
      return this.#listen(host, 0);
    });
    this.#ports.took(port);
    return port;
  }

  #listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: 4096 }, () => {
        this.#server.off('error', reject);
        const address = this.#server.address();
        resolve(typeof address === 'object' && address ? address.port : 0);
      });
    });
  }

  /** Connections outlive a change of endpoints, as they do in the kernel's modes. */
  endpointsChanged(): void {}

  close(): void {
    this.#server.close();
  }

  async #serve(client: Socket): Promise<void> {
    this.#track(client);
    client.on('error', () => client.destroy());
    const endpoint = await this.#dialAny(client);
    if (!endpoint) client.resetAndDestroy();
    else if (client.destroyed) endpoint.destroy();
    else join(client, endpoint);
  }

  async #dialAny(client: Socket): Promise<Socket | undefined> {
    const from = client.remoteAddress ?? '';
    for (const timeoutMs of DIAL_TIMEOUTS_MS) {
      const endpoint = this.#picker.pick(from);
      if (!endpoint || client.destroyed) return undefined;
      const socket = await dial(endpoint, timeoutMs);
      if (socket) {
        this.#track(socket);
        return socket;
      }
      this.#picker.forget(from);
    }
    return undefined;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** Undefined when the endpoint refuses, or says nothing in time. */
function dial({ ip, port }: Endpoint, timeoutMs: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: ip, port, allowHalfOpen: true, noDelay: true });
    const fail = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(timeoutMs, fail);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('timeout', fail);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

/** Each side's end ends the other's half; an error of one resets the other. */
function join(client: Socket, endpoint: Socket): void {
  for (const [from, to] of [
    [client, endpoint],
    [endpoint, client],
  ] as const) {
    from.on('error', () => to.resetAndDestroy());
    from.once('close', () => {
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  }
  endpoint.on('error', () => endpoint.destroy());
}
