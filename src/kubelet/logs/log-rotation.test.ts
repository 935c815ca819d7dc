import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import { silent } from '../../util/log.ts';
import { LogRotation, tidyRotated } from './log-rotation.ts';

describe('tidyRotated', () => {
  it.each([
    ['nothing yet', [], 5, { remove: [], compress: [] }],
    ['compresses all that stay', ['a.1', 'a.2'], 5, { remove: [], compress: ['a.1', 'a.2'] }],
    [
      'removes the oldest',
      ['a.1.gz', 'a.2.gz', 'a.3.gz', 'a.4'],
      5,
      { remove: ['a.1.gz'], compress: ['a.4'] },
    ],
    ['keeps one of three', ['a.1.gz', 'a.2'], 3, { remove: ['a.1.gz'], compress: ['a.2'] }],
    ['keeps none of two', ['a.1'], 2, { remove: ['a.1'], compress: [] }],
    [
      'clears up what was interrupted',
      ['a.1', 'a.1.tmp'],
      5,
      { remove: ['a.1.tmp'], compress: ['a.1'] },
    ],
  ])('%s', (_what, names, maxFiles, expected) => {
    expect(tidyRotated(names, maxFiles)).toEqual(expected);
  });
});

describe('LogRotation', () => {
  let directory: string;
  let path: string;
  let fails = false;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'logs-'));
    path = join(directory, '0.log');
    fails = false;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('moves a log that is too large, compresses the one before and never keeps more than allowed', async () => {
    const clock = new FakeClock();
    const rotation = new LogRotation(
      {
        clock,
        log: silent,
        running: () => [{ containerId: 'c', path }],
        reopen: async () => {
          if (fails) throw new Error('the engine hangs');
          writeFileSync(path, '');
        },
      },
      { maxSize: 10, maxFiles: 3, periodMs: 10_000 },
    );
    const { signal } = new AbortController();
    writeFileSync(path, 'short');
    await rotation.rotateAll(signal);
    expect(readdirSync(directory)).toEqual(['0.log']);
    for (const text of ['first-first', 'second-second', 'third-third']) {
      writeFileSync(path, text);
      await rotation.rotateAll(signal);
      await clock.advance(1000);
    }
    const [live = '', older = '', newest = ''] = readdirSync(directory).sort();
    expect(readFileSync(join(directory, live), 'utf8')).toBe('');
    expect(gunzipSync(readFileSync(join(directory, older))).toString()).toBe('second-second');
    expect(readFileSync(join(directory, newest), 'utf8')).toBe('third-third');
    expect(readdirSync(directory)).toHaveLength(3);

    fails = true;
    writeFileSync(path, 'the log must stay the log');
    await rotation.rotateAll(signal);
    expect(existsSync(path)).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('the log must stay the log');
  });
});
