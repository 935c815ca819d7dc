import { expect, it } from 'vitest';
import type { MountOptions } from '../../host/mounts.ts';
import { MemoryMounts } from './memory-mounts.ts';

function kernel(refuses: (options: readonly string[]) => boolean) {
  const made: string[] = [];
  let warnings = 0;
  const mounts = {
    async mount({ target, options = [] }: MountOptions) {
      if (refuses(options)) throw new Error('wrong fs type, bad option');
      made.push(`${target} ${options.join()}`);
    },
  };
  const memory = new MemoryMounts({
    mounts,
    onSwappable: () => {
      warnings++;
    },
  });
  return { memory, made, warnings: () => warnings };
}

it('MemoryMounts keeps what it mounts from being swapped out', async () => {
  const { memory, made, warnings } = kernel(() => false);
  await memory.mount('/a', ['size=1']);
  expect([made, warnings()]).toEqual([['/a size=1,noswap'], 0]);
});

it('MemoryMounts does without on a kernel that cannot, and says so once', async () => {
  const { memory, made, warnings } = kernel((options) => options.includes('noswap'));
  await memory.mount('/a', ['size=1']);
  await memory.mount('/b', []);
  expect([made, warnings()]).toEqual([['/a size=1', '/b '], 1]);
});

it('MemoryMounts takes a mount that fails in any case for no word on swapping', async () => {
  let isFull = true;
  const { memory, made, warnings } = kernel(() => isFull);
  await expect(memory.mount('/a', [])).rejects.toThrow('bad option');
  isFull = false;
  await memory.mount('/a', []);
  expect([made, warnings()]).toEqual([['/a noswap'], 0]);
});
