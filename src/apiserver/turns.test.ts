import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('begins few at once, and many over several turns in their order', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    turns.run(() => begun.push(-1));
    expect(begun).toEqual([-1]);
    await new Promise(setImmediate);
    for (let i = 0; i < 100; i++) turns.run(() => begun.push(i));
    const sizes: number[] = [];
    while (begun.length < 101) {
      sizes.push(begun.length - 1);
      await new Promise(setImmediate);
    }
    expect(sizes.length).toBeGreaterThan(2);
    expect(begun).toEqual([-1, ...Array.from({ length: 100 }, (_, i) => i)]);
  });
});
