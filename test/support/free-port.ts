import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the ports that the kernel hands out by itself: no connection is given one of them before it is used.
const FIRST = 20_000;
/** Test files that run at once are given ports of their own: between the look and the use nobody else must take one. */
const SHARE = 1_000;
const SHARES = 10;

const begin = FIRST + (Number(process.env.VITEST_POOL_ID ?? process.pid) % SHARES) * SHARE;
let next = randomInt(SHARE);

/** A port of the loopback on which nobody listens; each one is handed out once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = begin + (next++ % SHARE);
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
