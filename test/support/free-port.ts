import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the ports that the kernel hands out by itself: no connection is given one of them before it is used.
const FIRST = 20_000;
const END = 30_000;

/** A port of the loopback on which nobody listens. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, END);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
