import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('lets few begin at once, and many over several turns in their order', async () => {
    const turns = new Turns(32);
    expect(turns.next()).toBeUndefined();
    await new Promise(setImmediate);
    const begun: number[] = [];
    const all = Array.from({ length: 100 }, async (_, i) => {
      await turns.next();
      begun.push(i);
    });
    const sizes: number[] = [];
    while (begun.length < 100) {
      await new Promise(setImmediate);
      sizes.push(begun.length);
    }
    await Promise.all(all);
    expect(sizes.length).toBeGreaterThan(2);
    expect(begun).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});
