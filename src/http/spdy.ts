import { Duplex } from 'node:stream';
import {
  dataFrame,
  FrameReader,
  goawayFrame,
  pingFrame,
  RST,
  rstStreamFrame,
  SpdyError,
  type SpdyFrame,
  synReplyFrame,
  synStreamFrame,
} from './spdy-frames.ts';
import { HeaderReader, HeaderWriter, type SpdyHeaders } from './spdy-headers.ts';
import { finishAndDestroy } from './upgrade.ts';

export interface SpdyOptions {
  readonly role: 'client' | 'server';
  /** What came on the socket behind the HTTP upgrade. */
  readonly head?: Buffer;
  /** A stream that the peer opened. Absent: they are refused. */
  readonly onStream?: (stream: SpdyStream) => void;
}

/**
 * One SPDY/3.1 connection over an upgraded socket: many byte streams, each a Duplex. Like moby/spdystream, which is
 * what kubectl, kubelets and runtimes speak, it has no windows of its own: TCP's back pressure holds for all
 * streams together, and WINDOW_UPDATE is accepted and has no effect.
 */
export class SpdyConnection {
  readonly #socket: Duplex;
  readonly #options: SpdyOptions;
  readonly #frames = new FrameReader();
  readonly #reader = new HeaderReader();
  readonly #writer = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #replies = new Map<number, PromiseWithResolvers<void>>();
  readonly #closed = Promise.withResolvers<void>();
  #nextStream: number;
  #lastPeerStream = 0;
  #pumping = false;
  /** Something came, or there is room again, since the pump began. */
  #arrived = false;
  /** The socket has nothing more; what has arrived is still handled first. */
  #over: { cause: Error | undefined } | undefined;

  constructor(socket: Duplex, options: SpdyOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#nextStream = options.role === 'client' ? 1 : 2;
    if (options.head?.length) this.#frames.push(options.head);
    socket.on('data', (chunk: Buffer) => {
      this.#frames.push(chunk);
      this.#startPump();
    });
    const over = (err?: Error) => {
      this.#over ??= { cause: err };
      this.#startPump();
    };
    socket.on('error', over);
    socket.on('end', over);
    socket.on('close', () => over());
    this.#startPump();
  }

  /** Resolves when the connection has ended, for whatever reason. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Opens a stream and waits until the peer accepts it. */
  async open(headers: SpdyHeaders): Promise<SpdyStream> {
    const id = this.#nextStream;
    this.#nextStream += 2;
    const stream = this.#newStream(id, headers);
    const reply = Promise.withResolvers<void>();
    this.#replies.set(id, reply);
    this.write([synStreamFrame(id, this.#writer.encode(headers))]);
    await reply.promise;
    return stream;
  }

  /** Says goodbye and ends the socket; open streams end. */
  close(): void {
    this.write([goawayFrame(this.#lastPeerStream)]);
    this.#end();
  }

  /** For streams: false when the socket wants a pause; `drained` says when it is over. */
  write(parts: readonly Uint8Array[]): boolean {
    if (!this.#socket.writable) return true;
    let room = true;
    for (const part of parts) room = this.#socket.write(part);
    return room;
  }

  drained(resume: () => void): void {
    this.#socket.once('drain', resume);
  }

  /** For streams: there is room again to deliver what has arrived. */
  resume(): void {
    this.#socket.resume();
    this.#startPump();
  }

  release(id: number): void {
    this.#streams.delete(id);
  }

  #newStream(id: number, headers: SpdyHeaders): SpdyStream {
    const stream = new SpdyStream(this, id, headers);
    this.#streams.set(id, stream);
    return stream;
  }

  #startPump(): void {
    this.#arrived = true;
    if (this.#pumping) return;
    this.#pumping = true;
    this.#pump()
      .catch((err: Error) => this.#end(err))
      .finally(() => {
        this.#pumping = false;
        // More may have come after the last look, before this ran.
        if (this.#arrived) this.#startPump();
        else if (this.#over) this.#end(this.#over.cause);
      });
  }

  /** Handles frames strictly one after another: header blocks depend on the ones before. */
  async #pump(): Promise<void> {
    this.#arrived = false;
    for (let frame = this.#frames.next(); frame; frame = this.#frames.next()) {
      const ready = this.#handle(frame);
      if (ready instanceof Promise) await ready;
    }
  }

  #handle(frame: SpdyFrame): Promise<void> | undefined {
    switch (frame.type) {
      case 'data':
        this.#onData(frame);
        return undefined;
      case 'syn-stream':
        return this.#onSynStream(frame);
      case 'syn-reply':
      case 'headers':
        return this.#onReply(frame);
      case 'rst-stream':
        this.#onReset(frame.stream);
        return undefined;
      case 'ping':
        this.#onPing(frame.id);
        return undefined;
      default: // goaway: streams under way may finish; window-update: see above
        return undefined;
    }
  }

  #onData({ stream: id, fin, data }: Extract<SpdyFrame, { type: 'data' }>): void {
    const stream = this.#streams.get(id);
    if (!stream) {
      // Data may cross our own reset; that is no reason to complain about a stream that was open once.
      if (!this.#wasOpen(id)) this.write([rstStreamFrame(id, RST.invalidStream)]);
      return;
    }
    if (data.length > 0 && !stream.receive(data)) this.#socket.pause();
    if (fin) stream.receiveEnd();
  }

  #wasOpen(id: number): boolean {
    const ours = id % 2 === this.#nextStream % 2;
    return ours ? id < this.#nextStream : id <= this.#lastPeerStream;
  }

  async #onSynStream(frame: Extract<SpdyFrame, { type: 'syn-stream' }>): Promise<void> {
    const headers = await this.#reader.decode(frame.headers);
    const { stream: id } = frame;
    if (id % 2 === this.#nextStream % 2 || id <= this.#lastPeerStream) {
      throw new SpdyError(`Peer opened stream ${id} out of order`);
    }
    this.#lastPeerStream = id;
    if (!this.#options.onStream) {
      this.write([rstStreamFrame(id, RST.refused)]);
      return;
    }
    const stream = this.#newStream(id, headers);
    this.write([synReplyFrame(id, this.#writer.encode({}))]);
    this.#options.onStream(stream);
    if (frame.fin) stream.receiveEnd();
  }

  async #onReply(frame: Extract<SpdyFrame, { type: 'syn-reply' | 'headers' }>): Promise<void> {
    await this.#reader.decode(frame.headers);
    this.#replies.get(frame.stream)?.resolve();
    this.#replies.delete(frame.stream);
    if (frame.fin) this.#streams.get(frame.stream)?.receiveEnd();
  }

  /** The peer is done with the stream; what arrived before is still read. */
  #onReset(id: number): void {
    this.#replies.get(id)?.reject(new SpdyError(`Peer refused stream ${id}`));
    this.#replies.delete(id);
    this.#streams.get(id)?.receiveReset();
  }

  /** Ids of our own pings have our parity; all others are answered. */
  #onPing(id: number): void {
    if (id % 2 !== this.#nextStream % 2) this.write([pingFrame(id)]);
  }

  #end(err?: Error): void {
    const lost = new SpdyError('SPDY connection closed', { cause: err });
    for (const reply of this.#replies.values()) reply.reject(lost);
    this.#replies.clear();
    for (const stream of [...this.#streams.values()]) stream.receiveReset();
    this.#reader.close();
    finishAndDestroy(this.#socket);
    this.#closed.resolve();
  }
}

/** One byte stream of a connection. Ending it sends FIN; the peer's FIN or reset ends reading. */
export class SpdyStream extends Duplex {
  readonly headers: SpdyHeaders;
  readonly #connection: SpdyConnection;
  readonly #id: number;
  #ended = false;
  #reset = false;

  constructor(connection: SpdyConnection, id: number, headers: SpdyHeaders) {
    super({ allowHalfOpen: true });
    this.#connection = connection;
    this.#id = id;
    this.headers = headers;
    // A reset stream is an ordinary end for our callers; nobody need listen.
    this.on('error', () => {});
  }

  /** False when the reader is behind. */
  receive(data: Buffer): boolean {
    return this.#ended || this.push(data);
  }

  receiveEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.push(null);
  }

  receiveReset(): void {
    this.#reset = true;
    this.receiveEnd();
    this.#connection.release(this.#id);
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (err?: Error) => void): void {
    if (this.#reset) done();
    else if (this.#connection.write(dataFrame(this.#id, chunk, false))) done();
    else this.#connection.drained(done);
  }

  override _final(done: () => void): void {
    if (!this.#reset) this.#connection.write(dataFrame(this.#id, Buffer.alloc(0), true));
    done();
  }

  override _destroy(err: Error | null, done: (err?: Error | null) => void): void {
    // Once the peer has ended its side, a reset would only meet a closed socket, and TCP would answer it by
    // throwing away what the peer wrote last.
    if (!this.#reset && !this.#ended)
      this.#connection.write([rstStreamFrame(this.#id, RST.cancel)]);
    this.#reset = true;
    this.#connection.release(this.#id);
    done(err);
  }
}
