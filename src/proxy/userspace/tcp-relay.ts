import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../model.ts';
import type { EndpointPicker } from './endpoint-picker.ts';
import type { Relay } from './relay.ts';

// How long each try to reach an endpoint may take. An endpoint that is going away is passed over quickly.
const DIAL_TIMEOUTS_MS = [250, 500, 1_000, 2_000];

/** Accepts connections and copies bytes between each and one to an endpoint. */
export class TcpRelay implements Relay {
  readonly #picker: EndpointPicker;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  /** `sockets` holds all that is open, for whoever ends them: connections outlive their relay. */
  constructor(picker: EndpointPicker, sockets: Set<Socket>) {
    this.#picker = picker;
    this.#sockets = sockets;
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    this.#server = createServer(options, (client) => void this.#serve(client));
  }

  listen(host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port: 0, backlog: 4096 }, () => {
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
