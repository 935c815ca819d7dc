import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { createWebSocketStream, WebSocket } from 'ws';
import { SpdyConnection, type SpdyStream } from './spdy.ts';
import { type StreamRequest, serveStream } from './streaming.ts';
import { dialUpgrade } from './upgrade.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type OnUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

async function serve(upgrade: OnUpgrade, plain?: (server: Server) => void): Promise<URL> {
  const server = createServer();
  if (plain) plain(server);
  else
    server.on('upgrade', (req, socket, head) => {
      socket.on('error', () => {}); // A peer may leave as it likes.
      upgrade(req, socket, head);
    });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/exec`);
}

/** A kubelet that runs `command` on the streams of a SPDY remote command. */
function spdyKubelet(
  expected: number,
  command: (streams: Map<string, SpdyStream>) => Promise<void>,
): Promise<URL> {
  return serve((req, socket, head) => {
    const protocol = req.headers['x-stream-protocol-version'];
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
    );
    const streams = new Map<string, SpdyStream>();
    const connection = new SpdyConnection(socket, {
      role: 'server',
      head,
      onStream(stream) {
        streams.set(stream.headers.streamtype ?? '', stream);
        if (streams.size === expected) void command(streams).finally(() => connection.close());
      },
    });
  });
}

function frontDoor(kubelet: URL, what: StreamRequest): Promise<URL> {
  return serve((req, socket, head) => {
    void serveStream({ req, socket, head }, { url: kubelet }, what);
  });
}

const flags = { stdin: true, stdout: true, stderr: true, tty: false };
const EXEC: StreamRequest = { kind: 'exec', flags };

/** A WebSocket client that keeps what came on each channel. */
function channelClient(url: URL, protocols: string[]) {
  const ws = new WebSocket(url.href.replace('http', 'ws'), protocols);
  const seen = new Map<number, string>();
  const order: number[] = [];
  ws.on('message', (data: Buffer) => {
    const channel = data[0] ?? -1;
    order.push(channel);
    seen.set(channel, (seen.get(channel) ?? '') + data.subarray(1).toString());
  });
  const closed = new Promise<number>((resolve) => ws.on('close', resolve));
  const opened = new Promise<void>((resolve, reject) => {
    ws.on('open', resolve);
    ws.on('error', reject);
  });
  const say = (channel: number, text: string) =>
    ws.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
  return { ws, seen, order, opened, closed, say };
}

async function read(stream: SpdyStream | undefined): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += chunk;
  return text;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const bytes = (channel: number, text = ''): Buffer =>
  Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);

const ENDED = JSON.stringify({ metadata: {}, status: 'Success' });

describe('exec over WebSocket channels', () => {
  it('carries all streams, closes stdin on the v5 signal, and ends with the Status', async () => {
    const kubelet = await spdyKubelet(4, async (streams) => {
      const input = await read(streams.get('stdin'));
      streams.get('stdout')?.end(`out:${input}`);
      streams.get('stderr')?.end('err');
      streams.get('error')?.end(ENDED);
    });
    const client = channelClient(await frontDoor(kubelet, EXEC), [
      'v5.channel.k8s.io',
      'v4.channel.k8s.io',
    ]);
    await client.opened;
    expect(client.ws.protocol).toBe('v5.channel.k8s.io');
    client.say(0, 'hello ');
    client.say(0, 'world');
    client.ws.send(Buffer.from([255, 0]));
    expect(await client.closed).toBe(1000);
    expect(client.seen.get(1)).toBe('out:hello world');
    expect(client.seen.get(2)).toBe('err');
    expect(client.seen.get(3)).toBe(ENDED);
    expect(client.order[0]).toBe(1);
    expect(client.order.at(-1)).toBe(3);
  });

  const failure = { status: 'Failure', reason: 'NonZeroExitCode', message: 'command failed' };
  it.each<[string, object, (string | Buffer)[]]>([
    ['v4.base64.channel.k8s.io', failure, ['1', '1T2sh', `3${base64(JSON.stringify(failure))}`]],
    ['channel.k8s.io', failure, [bytes(1), bytes(1, 'Ok!'), bytes(3, 'command failed')]],
    ['channel.k8s.io', { status: 'Success' }, [bytes(1), bytes(1, 'Ok!')]],
    ['base64.channel.k8s.io', { status: 'Success' }, ['1', '1T2sh']],
    ['', { status: 'Success' }, [bytes(1), bytes(1, 'Ok!')]],
  ])('speaks the older %j, a command that ends with %j', async (protocol, status, wanted) => {
    const kubelet = await spdyKubelet(4, async (streams) => {
      const stdin = streams.get('stdin');
      const input = await new Promise<string>((resolve) =>
        stdin?.once('data', (chunk) => resolve(String(chunk))),
      );
      streams.get('stdout')?.end(`${input}!`);
      streams.get('stderr')?.end();
      streams.get('error')?.end(JSON.stringify(status));
    });
    const url = await frontDoor(kubelet, EXEC);
    const client = new WebSocket(url.href.replace('http', 'ws'), protocol === '' ? [] : [protocol]);
    const seen: (string | Buffer)[] = [];
    client.on('message', (data: Buffer, isBinary) => seen.push(isBinary ? data : data.toString()));
    client.on('open', () =>
      client.send(protocol.includes('base64') ? `0${base64('Ok')}` : bytes(0, 'Ok')),
    );
    const code = await new Promise<number>((resolve) => client.on('close', resolve));
    expect({ code, protocol: client.protocol, seen }).toEqual({
      code: 1000,
      protocol,
      seen: wanted,
    });
  });

  it('gives a terminal a resize stream and no stderr', async () => {
    const kubelet = await spdyKubelet(4, async (streams) => {
      const stream = streams.get('resize');
      const size = await new Promise<string>((resolve) =>
        stream?.once('data', (chunk) => resolve(String(chunk))),
      );
      streams.get('stdout')?.end(`${[...streams.keys()].join(' ')} ${size}`);
      streams.get('error')?.end(ENDED);
    });
    const tty: StreamRequest = { kind: 'exec', flags: { ...flags, tty: true } };
    const client = channelClient(await frontDoor(kubelet, tty), ['v4.channel.k8s.io']);
    await client.opened;
    client.say(4, '{"Width":80,"Height":24}');
    await client.closed;
    expect(client.seen.get(1)).toBe('error stdin stdout resize {"Width":80,"Height":24}');
  });

  it('moves many megabytes to a slow reader without loss', async () => {
    const block = Buffer.alloc(64 * 1024, 'x');
    const kubelet = await spdyKubelet(4, async (streams) => {
      const out = streams.get('stdout');
      for (let i = 0; i < 128; i++) {
        if (out && !out.write(block)) await new Promise((resolve) => out.once('drain', resolve));
      }
      out?.end();
      streams.get('error')?.end(ENDED);
    });
    const client = channelClient(await frontDoor(kubelet, EXEC), ['v5.channel.k8s.io']);
    await client.opened;
    await client.closed;
    expect(client.seen.get(1)?.length).toBe(128 * block.length);
    expect(client.seen.get(3)).toBe(ENDED);
  });

  it('tells why the kubelet refused, on the error channel', async () => {
    const kubelet = await serve(
      () => {},
      (server) =>
        server.on('request', (_req, res) => {
          res.writeHead(404).end('container not found ("web")\n');
        }),
    );
    const client = channelClient(await frontDoor(kubelet, EXEC), ['v5.channel.k8s.io']);
    await client.closed;
    expect(JSON.parse(client.seen.get(3) ?? '')).toMatchObject({
      status: 'Failure',
      code: 500,
      message: 'Internal error occurred: unable to upgrade connection: container not found ("web")',
    });
  });

  it('passes on the kubelet’s own Status', async () => {
    const status = {
      kind: 'Status',
      status: 'Failure',
      code: 403,
      reason: 'Forbidden',
      message: 'no',
    };
    const kubelet = await serve(
      () => {},
      (server) =>
        server.on('request', (_req, res) => res.writeHead(403).end(JSON.stringify(status))),
    );
    const client = channelClient(await frontDoor(kubelet, EXEC), ['v5.channel.k8s.io']);
    await client.closed;
    expect(JSON.parse(client.seen.get(3) ?? '')).toMatchObject({ code: 403, reason: 'Forbidden' });
  });

  it('ends the command’s streams when the client leaves', async () => {
    const ended = Promise.withResolvers<void>();
    const kubelet = await spdyKubelet(4, async (streams) => {
      await read(streams.get('stdin'));
      ended.resolve();
    });
    const client = channelClient(await frontDoor(kubelet, EXEC), ['v5.channel.k8s.io']);
    await client.opened;
    client.ws.terminate();
    await ended.promise;
  });

  it('says so when the kubelet’s connection is lost', async () => {
    const kubelet = await spdyKubelet(4, async () => {});
    const client = channelClient(await frontDoor(kubelet, EXEC), ['v5.channel.k8s.io']);
    await client.closed;
    expect(JSON.parse(client.seen.get(3) ?? '').message).toContain(
      'connection to the node was lost',
    );
  });
});

describe('SpdyStream', () => {
  it('says nothing more once the peer has ended it and it was read: the peer may be gone', async () => {
    let late = 0;
    const url = await serve((_req, socket, head) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n',
      );
      const onStream = (stream: SpdyStream) => {
        stream.end('all');
        socket.on('data', (bytes: Buffer) => {
          late += bytes.length;
        });
      };
      new SpdyConnection(socket, { role: 'server', head, onStream });
    });
    const upgrade = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };
    const answer = await dialUpgrade({ url }, 'POST', upgrade);
    if (answer.kind !== 'upgraded') throw new Error('refused');
    const connection = new SpdyConnection(answer.socket, { role: 'client', head: answer.head });
    expect(await read(await connection.open({ streamtype: 'stdout' }))).toBe('all');
    await new Promise((resolve) => setImmediate(resolve));
    connection.close();
    await connection.closed;
    await new Promise((resolve) => answer.socket.once('close', resolve));
    const goaway = 16;
    expect(late).toBeLessThanOrEqual(goaway);
  });
});

describe('SPDY through the raw proxy', () => {
  it('writes what it was given before it closes, however fast the back end leaves', async () => {
    const text = 'x'.repeat(200_000);
    const kubelet = await serve((_req, socket) => {
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n${text}`,
      );
    });
    const url = await frontDoor(kubelet, EXEC);
    for (let i = 0; i < 20; i++) {
      const answer = await dialUpgrade({ url }, 'POST', {
        ...{ connection: 'Upgrade', upgrade: 'SPDY/3.1' },
      });
      if (answer.kind !== 'upgraded') throw new Error('refused');
      let size = answer.head.length;
      for await (const chunk of answer.socket) size += (chunk as Buffer).length;
      expect(size).toBe(text.length);
    }
  });

  it('carries a remote command both ways', async () => {
    const kubelet = await spdyKubelet(2, async (streams) => {
      streams.get('stdout')?.end(`${await read(streams.get('stdin'))}!`);
    });
    const url = await frontDoor(kubelet, EXEC);
    const headers = {
      connection: 'Upgrade',
      upgrade: 'SPDY/3.1',
      'x-stream-protocol-version': 'v4.channel.k8s.io',
    };
    const answer = await dialUpgrade({ url }, 'POST', headers);
    if (answer.kind !== 'upgraded') throw new Error('refused');
    expect(answer.headers['x-stream-protocol-version']).toBe('v4.channel.k8s.io');
    const connection = new SpdyConnection(answer.socket, { role: 'client', head: answer.head });
    const stdin = await connection.open({ streamtype: 'stdin' });
    const stdout = await connection.open({ streamtype: 'stdout' });
    stdin.end('hi');
    expect(await read(stdout)).toBe('hi!');
    await connection.closed;
  });

  it.each([
    [200, 'fine'],
    [302, 'elsewhere'],
    [403, 'forbidden'],
  ])(
    'passes a %i on as it is and never opens the tunnel (CVE-2018-1002105)',
    async (code, text) => {
      let requests = 0;
      const kubelet = await serve(
        () => {},
        (server) =>
          server.on('request', (_req, res) => {
            requests++;
            res.writeHead(code, { location: '/elsewhere' }).end(text);
          }),
      );
      const url = await frontDoor(kubelet, EXEC);
      const answer = await dialUpgrade({ url }, 'POST', {
        connection: 'Upgrade',
        upgrade: 'SPDY/3.1',
      });
      expect(answer).toMatchObject({ kind: 'refused', code });
      expect(answer.kind === 'refused' && answer.body.toString()).toBe(text);
      expect(requests).toBe(1);
    },
  );

  it('shows the back end nothing of who the client is', async () => {
    const seen = Promise.withResolvers<IncomingMessage['headers']>();
    const kubelet = await serve((req, socket) => {
      seen.resolve(req.headers);
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
    });
    const url = await frontDoor(kubelet, EXEC);
    request(url, {
      headers: {
        ...{ connection: 'Upgrade', upgrade: 'SPDY/3.1', authorization: 'Bearer secret' },
        ...{
          'impersonate-user': 'root',
          'x-remote-user': 'root',
          'x-stream-protocol-version': 'v4',
        },
      },
    })
      .on('error', () => {}) // It ends with the test, answered or not.
      .end();
    const headers = await seen.promise;
    expect(headers).toMatchObject({ upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4' });
    for (const name of ['authorization', 'impersonate-user', 'x-remote-user']) {
      expect(headers[name]).toBeUndefined();
    }
  });

  it('answers 502 when the back end is away', async () => {
    const url = await frontDoor(new URL('http://127.0.0.1:1/'), EXEC);
    const answer = await dialUpgrade({ url }, 'POST', {
      connection: 'Upgrade',
      upgrade: 'SPDY/3.1',
    });
    expect(answer).toMatchObject({ kind: 'refused', code: 502 });
  });
});

/** ws refuses kubectl's protocol name before it connects, so the handshake is made by hand. */
function clientOn(socket: Duplex, head: Buffer): WebSocket {
  const ws = new WebSocket(null as never, undefined, { autoPong: true }) as WebSocket & {
    _isServer: boolean;
    setSocket(socket: Duplex, head: Buffer, options: object): void;
  };
  ws._isServer = false;
  ws.setSocket(socket, head, { maxPayload: 1 << 20, skipUTF8Validation: false });
  return ws;
}

describe('port-forward over WebSocket', () => {
  it('tunnels a SPDY connection in messages', async () => {
    const kubelet = await spdyKubelet(2, async (streams) => {
      const data = streams.get('data');
      for await (const chunk of data ?? []) data?.write(`echo ${chunk}`);
      data?.end();
    });
    const url = await frontDoor(kubelet, { kind: 'portforward' });
    const answer = await dialUpgrade({ url }, 'GET', {
      ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
      'sec-websocket-protocol': 'SPDY/3.1+portforward.k8s.io',
    });
    if (answer.kind !== 'upgraded') throw new Error('refused');
    expect(answer.headers['sec-websocket-protocol']).toBe('SPDY/3.1+portforward.k8s.io');
    const ws = clientOn(answer.socket, answer.head);
    const connection = new SpdyConnection(createWebSocketStream(ws), { role: 'client' });
    await connection.open({ streamtype: 'error', port: '80', requestid: '0' });
    const data = await connection.open({ streamtype: 'data', port: '80', requestid: '0' });
    data.end('ping');
    expect(await read(data)).toBe('echo ping');
    connection.close();
  });
});
