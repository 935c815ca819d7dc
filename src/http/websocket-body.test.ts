import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { sendByWebSocket } from './websocket-body.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server that gives out this body, and a client that asks for it by these protocols. */
async function ask(body: Readable, protocols: string[]) {
  const server = createServer();
  const served = new Promise<void>((resolve, reject) => {
    server.on('upgrade', (req, socket, head) => {
      socket.on('error', () => {});
      sendByWebSocket({ req, socket, head }, body).then(resolve, reject);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const ws = new WebSocket(`ws://127.0.0.1:${port}/`, protocols);
  const messages: { data: string; isBinary: boolean }[] = [];
  ws.on('message', (data, isBinary) => messages.push({ data: `${data}`, isBinary }));
  const closed = new Promise<number>((resolve) => ws.on('close', resolve));
  return { ws, messages, closed, served };
}

describe('sendByWebSocket', () => {
  it.each<[string[], { data: string; isBinary: boolean }[]]>([
    [
      ['binary.k8s.io'],
      [
        { data: '', isBinary: true },
        { data: 'one\n', isBinary: true },
      ],
    ],
    [
      ['base64.binary.k8s.io'],
      [
        { data: '', isBinary: false },
        { data: 'b25lCg==', isBinary: false },
      ],
    ],
  ])('sends the body by %j, and closes', async (protocols, wanted) => {
    const client = await ask(Readable.from([Buffer.from('one\n')]), protocols);
    expect(await client.closed).toBe(1000);
    expect(client.messages).toEqual(wanted);
    expect(client.ws.protocol).toBe(protocols[0]);
    await client.served;
  });

  it('lets go of a body without end when the client leaves', async () => {
    const endless = new Readable({ read() {} });
    endless.push('begun');
    const client = await ask(endless, ['binary.k8s.io']);
    await new Promise((resolve) => client.ws.once('message', resolve));
    client.ws.close();
    await client.served;
    expect(endless.destroyed).toBe(true);
  });

  it('says by its end that the body broke', async () => {
    const broken = new Readable({ read() {} });
    const client = await ask(broken, []);
    client.ws.once('message', () => broken.destroy(new Error('the node is gone')));
    expect(await client.closed).toBe(1011);
    await client.served;
  });
});
