import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { endWhenIdle } from './streaming.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Both ends of a connection. */
async function connection(): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = createConnection((server.address() as AddressInfo).port, '127.0.0.1');
  const [near] = (await once(server, 'connection')) as [Socket];
  far.on('error', () => {});
  closers.push(() => {
    for (const end of [near, far, server]) 'destroy' in end ? end.destroy() : end.close();
  });
  return [near, far];
}

describe('endWhenIdle', () => {
  it('ends a connection over which nothing is said', async () => {
    const [near, far] = await connection();
    far.resume();
    endWhenIdle(near, 20);
    await once(far, 'close');
    expect(near.destroyed).toBe(true);
  });

  it('leaves one alone over which something is', async () => {
    // Where the machine stood still for so long nothing was said either: that is tried again.
    for (let stoodStill = true; stoodStill; ) {
      const [near, far] = await connection();
      endWhenIdle(near, 200);
      near.resume();
      const begin = performance.now();
      const closed = once(near, 'close');
      let longest = 0;
      for (let last = begin; !near.destroyed && last - begin < 400; ) {
        far.write('x');
        await Promise.race([once(near, 'data'), closed]);
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }
      stoodStill = near.destroyed && longest > 100;
      if (!stoodStill) expect(near.destroyed).toBe(false);
    }
  });
});
