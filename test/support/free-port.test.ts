import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort } from './free-port.ts';

describe('freePort', () => {
  it('hands out no port twice, though none is used yet', async () => {
    const ports = await Promise.all(Array.from({ length: 100 }, () => freePort()));
    expect(new Set(ports).size).toBe(ports.length);
  });

  it('leaves out what is taken', async () => {
    const before = await freePort();
    const taken = createServer().listen(before + 1, '127.0.0.1');
    await once(taken, 'listening').catch(() => {}); // By somebody else, then.
    expect(await freePort()).not.toBe(before + 1);
    taken.close();
  });
});
