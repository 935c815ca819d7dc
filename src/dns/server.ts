import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Socket } from 'node:net';
import type { DecodedPacket } from 'dns-packet';
import type { DnsMetrics } from './metrics.ts';
import { packReply, type Resolver } from './resolver.ts';
import { datagramLimit, decodeQuery, formatError } from './wire.ts';

const TCP_IDLE_MS = 10_000;
const TCP_MAX_CONNECTIONS = 1_000;
const MAX_MESSAGE = 65_535;

export interface DnsServerDeps {
  readonly resolver: Resolver;
  readonly metrics: DnsMetrics;
}

/** Takes questions over UDP and TCP at one address. */
export class DnsServer {
  readonly #deps: DnsServerDeps;

  constructor(deps: DnsServerDeps) {
    this.#deps = deps;
  }

  /** Serves until aborted. Rejects when the address cannot be had. `onListening` is told the port. */
  async run(
    address: { host: string; port: number },
    onListening: (port: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const udp = createSocket({
      type: isIPv6(address.host) ? 'udp6' : 'udp4',
      recvBufferSize: 1 << 20,
    });
    const tcp = createServer((socket) => this.#talk(socket, signal));
    tcp.maxConnections = TCP_MAX_CONNECTIONS;
    udp.on('message', (message, peer) => void this.#datagram(udp, message, { peer, signal }));
    await new Promise<void>((resolve, reject) => {
      udp.on('error', reject);
      tcp.once('error', reject);
      udp.bind(address.port, address.host, () => {
        const { port } = udp.address();
        tcp.listen({ host: address.host, port, signal }, () => onListening(port));
      });
      const stop = () => {
        udp.close();
        resolve();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  async #datagram(
    socket: UdpSocket,
    message: Buffer,
    { peer, signal }: { peer: RemoteInfo; signal: AbortSignal },
  ): Promise<void> {
    const answer = await this.#answer(message, { proto: 'udp', limit: datagramLimit }, signal);
    if (!answer || signal.aborted) return;
    // A peer that is gone is nobody's problem.
    socket.send(answer, peer.port, peer.address, () => {});
  }

  /** Bytes to send back; undefined where silence is right. */
  async #answer(
    message: Buffer,
    { proto, limit }: { proto: 'udp' | 'tcp'; limit: (query: DecodedPacket) => number },
    signal: AbortSignal,
  ): Promise<Buffer | undefined> {
    const started = performance.now();
    const query = decodeQuery(message);
    if (!query) return formatError(message);
    if (query.type !== 'query') return undefined;
    const reply = await this.#deps.resolver.resolve(query, signal);
    const { metrics } = this.#deps;
    metrics.requests.inc({ proto, type: query.questions?.[0]?.type ?? 'other' });
    metrics.responses.inc({ rcode: reply.rcode });
    metrics.duration.observe((performance.now() - started) / 1000);
    try {
      return packReply(query, reply, limit(query));
    } catch {
      return formatError(message); // A question that cannot be written back was none.
    }
  }

  #talk(socket: Socket, signal: AbortSignal): void {
    let received: Buffer = Buffer.alloc(0);
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, Buffer.from(chunk)]);
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const end = received.readUInt16BE(0) + 2;
        void this.#reply(socket, received.subarray(2, end), signal);
        received = received.subarray(end);
      }
    });
  }

  async #reply(socket: Socket, message: Buffer, signal: AbortSignal): Promise<void> {
    const answer = await this.#answer(message, { proto: 'tcp', limit: () => MAX_MESSAGE }, signal);
    if (!answer || socket.destroyed) return;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(answer.length);
    socket.write(Buffer.concat([length, answer]));
  }
}
