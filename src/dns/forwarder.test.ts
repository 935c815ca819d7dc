import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import dnsPacket, { type Question } from 'dns-packet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { realClock } from '../util/clock.ts';
import { ForwardedAnswer } from './forwarded-answer.ts';
import { CachingForwarder, type ForwarderDeps, parseResolvConf, searchesOf } from './forwarder.ts';
import type { Upstream } from './upstreams.ts';
import { decodeQuery, encodeForwarded, type Query } from './wire.ts';

type Answerer = (query: dnsPacket.DecodedPacket, message: Buffer) => Buffer | undefined;

const question = (name: string, type: Question['type'] = 'A'): Question => ({
  type,
  name,
  class: 'IN',
});
const never = new AbortController().signal;
let stop: AbortController;
let asked: dnsPacket.DecodedPacket[];

beforeEach(() => {
  stop = new AbortController();
  asked = [];
});
afterEach(() => stop.abort());

/** A name server on a free port that answers as it is told; undefined: not at all. */
async function upstream(answer: Answerer): Promise<Upstream> {
  const socket = createSocket('udp4');
  socket.on('message', (message: Buffer, peer: RemoteInfo) => {
    const query = dnsPacket.decode(message);
    asked.push(query);
    const reply = answer(query, message);
    if (reply) socket.send(reply, peer.port, peer.address);
  });
  return { host: '127.0.0.1', port: await bound(socket) };
}

async function bound(socket: Socket, port = 0): Promise<number> {
  await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
  stop.signal.addEventListener('abort', () => socket.close());
  return socket.address().port;
}

/** Whether the server could have the port. */
function listens(server: Server, { host, port }: Upstream): Promise<boolean> {
  return new Promise((resolve) => {
    server.once('listening', () => resolve(true));
    server.once('error', () => resolve(false));
    server.listen(port, host);
  });
}

function reply({ id = 0, questions = [] }: dnsPacket.DecodedPacket, more: object = {}): Buffer {
  return dnsPacket.encode({ type: 'response', id, questions, ...more });
}

const address: Answerer = (query) =>
  reply(query, {
    answers: [{ type: 'A', name: query.questions?.[0]?.name ?? '', ttl: 60, data: '192.0.2.1' }],
  });

function forwarder(upstreams: Upstream[], deps: Partial<ForwarderDeps> = {}): CachingForwarder {
  return new CachingForwarder(upstreams, { clock: realClock, ...deps });
}

function queryOf(name: string, more: object = {}): Query {
  const query = dnsPacket.encode({ type: 'query', id: 77, questions: [question(name)], ...more });
  const decoded = decodeQuery(query);
  if (!decoded) throw new Error('A query that cannot be read');
  return decoded;
}

describe('CachingForwarder', () => {
  it('asks once for what several want to know at the same time', async () => {
    const { ask } = bindAsk(forwarder([await upstream(address)]));
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask('www.example')));
    expect(answers.every((answer) => answer?.forwarded.rcode === 0)).toBe(true);
    expect(asked).toHaveLength(1);
  });

  it('has nobody to ask: no answer, at once', async () => {
    const nobody = forwarder([], { clock: new FakeClock() });
    expect(await nobody.ask(question('www.example'), never)).toBeUndefined();
  });

  it('goes on to the next server when one is silent or fails, and leaves the silent one alone then', async () => {
    const unheard: unknown[] = [];
    const silent = await upstream((query) => {
      unheard.push(query.questions?.[0]?.name);
      return undefined;
    });
    const failing = await upstream((query) => reply(query, { flags: 2 }));
    const clock = new FakeClock();
    const { ask } = bindAsk(forwarder([silent, failing, await upstream(address)], { clock }));
    expect((await ask('one.example'))?.forwarded.rcode).toBe(0);
    expect((await ask('two.example'))?.forwarded.rcode).toBe(0);
    expect(new Set(unheard)).toEqual(new Set(['one.example']));
  });

  it('remembers that nobody could answer, for some seconds', async () => {
    const clock = new FakeClock(0);
    const failing = await upstream((query) => reply(query, { flags: 2 }));
    const { ask } = bindAsk(forwarder([failing], { clock }));
    expect(await ask('www.example')).toBeUndefined();
    const before = asked.length;
    expect(await ask('www.example')).toBeUndefined();
    expect(asked).toHaveLength(before);
    await clock.advance(6_000);
    await ask('www.example');
    expect(asked.length).toBeGreaterThan(before);
  });

  it('asks without EDNS when the server does not know it', async () => {
    const old = await upstream((query) =>
      (query.additionals ?? []).length > 0
        ? reply(query, { flags: 1 })
        : address(query, Buffer.of()),
    );
    const { ask } = bindAsk(forwarder([old]));
    expect((await ask('www.example'))?.forwarded.rcode).toBe(0);
  });

  it('asks again over TCP for what was cut', async () => {
    const answerer: Answerer = (query) => reply(query, { flags: dnsPacket.TRUNCATED_RESPONSE });
    const tcp = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        const message = address(dnsPacket.decode(Buffer.from(data), 2), Buffer.of()) ?? Buffer.of();
        const length = Buffer.alloc(2);
        length.writeUInt16BE(message.length);
        socket.end(Buffer.concat([length, message]));
      });
    });
    stop.signal.addEventListener('abort', () => tcp.close());
    // A port that is free for datagrams may be somebody's for connections.
    let cut = await upstream(answerer);
    while (!(await listens(tcp, cut))) cut = await upstream(answerer);
    const { ask } = bindAsk(forwarder([cut]));
    const answer = await ask('www.example');
    expect(answer?.forwarded.truncated).toBe(false);
    expect(dnsPacket.decode(answer?.forwarded.bytes ?? Buffer.of()).answers).toHaveLength(1);
  });

  it('takes no answer to another question or with another id', async () => {
    const forger = await upstream((query) => {
      const { id = 0 } = query;
      return reply({ ...query, id: (id + 1) % 65_536 });
    });
    const other = await upstream((query) =>
      reply({ ...query, questions: [question('evil.example')] }),
    );
    const { ask } = bindAsk(forwarder([forger, other]));
    expect(await ask('www.example')).toBeUndefined();
  });

  it('finds out that a server forwards to it, and does not ask that one again', async () => {
    const loops: Upstream[] = [];
    let self: CachingForwarder;
    const loop = await upstream((query) => {
      const [wanted] = query.questions ?? [];
      if (wanted) void self.ask(wanted, never);
      return undefined;
    });
    self = forwarder([loop], { onLoop: (which) => loops.push(which) });
    await self.findLoops(never);
    expect(loops).toEqual([loop]);
    const before = asked.length;
    expect(await self.ask(question('www.example'), never)).toBeUndefined();
    expect(asked).toHaveLength(before);
  });

  it('stays within bounds when ten thousand names are asked for', async () => {
    let hits = 0;
    const echo = await upstream(address);
    const self = forwarder([echo], {
      onCache: (hit) => {
        if (hit) hits++;
      },
    });
    const { ask } = bindAsk(self);
    for (let i = 0; i < 10_000; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => ask(`name-${i + j}.example`)));
    }
    await ask('name-0.example');
    expect(hits).toBe(0); // The oldest had to go.
    await ask('name-9999.example');
    expect(hits).toBe(1);
  });
});

function bindAsk(self: CachingForwarder) {
  return { ask: (name: string) => self.ask(question(name), never) };
}

describe('ForwardedAnswer', () => {
  const HTTPS = Buffer.from('0001000001000302683200', 'hex');

  it('passes on records of types that nobody here knows, with their age and the spelling of the asker', () => {
    const name = 'www.example';
    const head = dnsPacket.encode({ type: 'response', id: 1, questions: [question(name)] });
    const record = Buffer.concat([Buffer.from('c00c0041000100000e10000b', 'hex'), HTTPS]);
    const message = Buffer.concat([head, record]);
    message.writeUInt16BE(1, 6);
    const forwarded = new ForwardedAnswer(message);
    expect(forwarded.ttl).toBe(3600);
    const bytes = encodeForwarded(queryOf('WWW.example'), { forwarded, ageSeconds: 100 }, 512);
    expect(bytes.readUInt16BE(0)).toBe(77);
    expect(bytes.subarray(12, 25).toString('latin1')).toContain('WWW');
    expect(bytes.readUInt32BE(head.length + 6)).toBe(3500);
    expect(bytes.subarray(-HTTPS.length)).toEqual(HTTPS);
  });

  it("has the server's EDNS taken off, and ours put on for who asks with it", () => {
    const opt = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] };
    const message = reply({ id: 1, questions: [question('a.example')] } as never, {
      additionals: [opt],
    });
    const forwarded = new ForwardedAnswer(message);
    const without = encodeForwarded(queryOf('a.example'), { forwarded, ageSeconds: 0 }, 512);
    expect(dnsPacket.decode(without).additionals).toEqual([]);
    const query = queryOf('a.example', { additionals: [opt] });
    const [own] =
      dnsPacket.decode(encodeForwarded(query, { forwarded, ageSeconds: 0 }, 512)).additionals ?? [];
    expect(own).toMatchObject({ type: 'OPT', udpPayloadSize: 1232 });
  });

  it('is cut at a record where it does not fit', () => {
    const answers = Array.from({ length: 60 }, (_, i) => ({
      type: 'A',
      name: 'many.example',
      ttl: 9,
      data: `192.0.2.${i}`,
    }));
    const message = reply({ id: 1, questions: [question('many.example')] } as never, { answers });
    const forwarded = new ForwardedAnswer(message);
    const bytes = encodeForwarded(queryOf('many.example'), { forwarded, ageSeconds: 0 }, 512);
    const packet = dnsPacket.decode(bytes);
    expect(bytes.length).toBeLessThanOrEqual(512);
    expect(packet.answers?.length).toBeGreaterThan(5);
    expect((packet.flags ?? 0) & dnsPacket.TRUNCATED_RESPONSE).toBeTruthy();
  });

  it('is made of any bytes, or they are refused as malformed', () => {
    const header = fc.constant(Buffer.from('000184000001000100000000', 'hex'));
    const bytes = fc.tuple(header, fc.uint8Array({ maxLength: 80 }));
    fc.assert(
      fc.property(bytes, ([head, rest]) => {
        try {
          const forwarded = new ForwardedAnswer(Buffer.concat([head, rest]));
          const sent = encodeForwarded(queryOf('a.example'), { forwarded, ageSeconds: 1 }, 512);
          expect(sent.length).toBeLessThanOrEqual(512);
        } catch (err) {
          expect(err).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('parseResolvConf', () => {
  it('takes the servers, but never this one', () => {
    const text = 'search a.b\nnameserver 10.96.0.10\n nameserver 192.0.2.53\nnameserver fd00::53\n';
    expect(parseResolvConf(text, ['10.96.0.10'])).toEqual([
      { host: '192.0.2.53', port: 53 },
      { host: 'fd00::53', port: 53 },
    ]);
  });
});

describe('searchesOf', () => {
  it('takes the last search line', () => {
    expect(searchesOf('search a.b\nnameserver 192.0.2.1\nsearch c.d  e.f .\n')).toEqual([
      'c.d',
      'e.f',
    ]);
    expect(searchesOf('nameserver 192.0.2.1')).toEqual([]);
  });
});
