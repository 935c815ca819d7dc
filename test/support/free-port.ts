import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the ports that the kernel hands out by itself: no connection is given one of them before it is used.
const FIRST = 20_000;
/**
 * Test files that run at once are given ports of their own: between the look and the use nobody else must take one. Those of
 * one run differ by their workers, those of several by the process that has started these.
 */
const SHARE = 1_000;
const SHARES = 10;

const share = (process.ppid + Number(process.env.VITEST_POOL_ID ?? process.pid)) % SHARES;
const begin = FIRST + share * SHARE;
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
