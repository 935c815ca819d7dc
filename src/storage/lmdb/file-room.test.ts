import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import { FileRoom } from './file-room.ts';
import { DATA_FILE } from './files.ts';
import type { Tables } from './tables.ts';

const KIB = 1024;

describe('FileRoom', () => {
  let directory: string;
  const clock = new FakeClock();
  const tables = { directory: '', size: 0 };
  const fileSize = (): number => statSync(join(directory, DATA_FILE)).size;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'k8ts-room-'));
    writeFileSync(join(directory, DATA_FILE), Buffer.alloc(8 * KIB, 'x'));
    Object.assign(tables, { directory, size: 8 * KIB });
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('adds more at a time the faster the store grows, and less when it is quiet again', async () => {
    const room = new FileRoom({ tables: tables as unknown as Tables, clock });
    await clock.advance(1000);
    const added: number[] = [];
    for (const elapsed of [1000, 10, 10, 10, 10, 200, 1000, 1000, 1000, 1000]) {
      await clock.advance(elapsed);
      const before = fileSize();
      tables.size = before;
      await room.ensure();
      added.push((fileSize() - before) / KIB);
    }
    expect(added).toEqual([512, 1024, 2048, 4096, 4096, 4096, 2048, 1024, 512, 512]);
    await room.close();
  });

  it('adds nothing while there is room, and never touches what is in use', async () => {
    const room = new FileRoom({ tables: tables as unknown as Tables, clock });
    await room.ensure();
    const size = fileSize();
    tables.size = size - 600 * KIB;
    await room.ensure();
    expect(fileSize()).toBe(size);
    tables.size = size - 500 * KIB;
    await room.ensure();
    expect(fileSize()).toBeGreaterThan(size);
    const content = readFileSync(join(directory, DATA_FILE));
    expect(content.lastIndexOf('x')).toBe(8 * KIB - 1);
    await room.close();
  });
});
