import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('runs work on one key in order, also after a failure, and other keys beside it', async () => {
    const turns = new Turns();
    const done: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = turns.run('a', async () => {
      await gate.promise;
      done.push('a1');
      throw new Error('failed');
    });
    const second = turns.run('a', async () => void done.push('a2'));
    await turns.run('b', async () => void done.push('b1'));
    gate.resolve();
    await expect(first).rejects.toThrow('failed');
    await second;
    expect(done).toEqual(['b1', 'a1', 'a2']);
  });
});
