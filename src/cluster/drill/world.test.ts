import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { answers } from './world.ts';

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function serving(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

it('a server that answers, one that refuses, one that says nothing', async () => {
  let status = 200;
  const url = await serving((_, response) => {
    if (status !== 0) response.writeHead(status).end('here');
  });
  expect(await answers(url)).toBe(true);
  status = 503;
  expect(await answers(url)).toBe(false);
  status = 0;
  expect(await answers(url)).toBe(false);
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  expect(await answers(url)).toBe(false);
});

it('what the machine could not do while it was held up is nobody’s silence', async () => {
  const url = await serving((_, response) => response.end('here'));
  const answered = answers(url);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
  expect(await answered).toBe(true);
});
