import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Socket } from 'node:net';
import type { DnsMetrics } from './metrics.ts';
import type { Resolver } from './resolver.ts';
import {
  datagramLimit,
  decodeQuery,
  encodeForwarded,
  encodeReply,
  formatError,
  type Query,
  rcodeName,
} from './wire.ts';

const TCP_IDLE_MS = 10_000;
const TCP_MAX_CONNECTIONS = 1_000;
const MAX_MESSAGE = 65_535;
/** Answers that a TCP client has not read; who asks on and does not read is cut off. */
const MAX_UNREAD = 1 << 20;

export interface DnsServerDeps {
  readonly resolver: Resolver;
  readonly metrics: DnsMetrics;
}

/** How a question came, and how much may go back that way. */
interface Channel {
  readonly proto: 'udp' | 'tcp';
  readonly limit: (query: Query) => number;
  readonly client: string;
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
    const tcp = createServer({ allowHalfOpen: true }, (socket) => this.#talk(socket, signal));
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
    const answer = await this.#answer(
      message,
      { proto: 'udp', limit: datagramLimit, client: peer.address },
      signal,
    );
    if (!answer || signal.aborted) return;
    // A peer that is gone is nobody's problem.
    socket.send(answer, peer.port, peer.address, () => {});
  }

  /** Bytes to send back; undefined where silence is right. */
  async #answer(
    message: Buffer,
    { proto, limit, client }: Channel,
    signal: AbortSignal,
  ): Promise<Buffer | undefined> {
    const started = performance.now();
    const query = decodeQuery(message);
    if (!query) return formatError(message);
    const { packet } = query;
    if (packet.type !== 'query') return undefined;
    const reply = await this.#deps.resolver.resolve(packet, client, signal);
    const { metrics } = this.#deps;
    metrics.requests.inc({ proto, type: knownType(packet.questions?.[0]?.type) });
    const rcode = 'forwarded' in reply ? rcodeName(reply.forwarded.rcode) : reply.rcode;
    metrics.responses.inc({ rcode: rcode ?? 'other' });
    metrics.duration.observe((performance.now() - started) / 1000);
    return 'forwarded' in reply
      ? encodeForwarded(query, reply, limit(query))
      : encodeReply(query, reply, limit(query));
  }

  #talk(socket: Socket, signal: AbortSignal): void {
    let received: Buffer = Buffer.alloc(0);
    const unanswered = new Set<Promise<void>>();
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    const stop = () => socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', stop));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, Buffer.from(chunk)]);
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const end = received.readUInt16BE(0) + 2;
        const answered = this.#reply(socket, received.subarray(2, end), signal);
        unanswered.add(answered);
        void answered.finally(() => unanswered.delete(answered));
        received = received.subarray(end);
      }
    });
    // Who has nothing more to ask may say so at once, and still gets its answers.
    socket.once('end', () => void Promise.allSettled(unanswered).then(() => socket.end()));
  }

  async #reply(socket: Socket, message: Buffer, signal: AbortSignal): Promise<void> {
    const answer = await this.#answer(
      message,
      { proto: 'tcp', limit: () => MAX_MESSAGE, client: socket.remoteAddress ?? '' },
      signal,
    );
    if (!answer || socket.destroyed) return;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(answer.length);
    socket.write(Buffer.concat([length, answer]));
    if (socket.writableLength > MAX_UNREAD) socket.destroy();
  }
}

const COUNTED_TYPES =
  'A AAAA CNAME DNSKEY DS HINFO MX NS NSEC NSEC3 PTR RRSIG SOA SRV TXT ANY HTTPS SVCB'.split(' ');

/** Askers choose the type, so the metric's label is bounded as CoreDNS bounds it. */
function knownType(type: string | undefined): string {
  return type !== undefined && COUNTED_TYPES.includes(type) ? type : 'other';
}
