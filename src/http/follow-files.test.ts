import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { followedFile } from './follow-files.ts';

let directory = '';
let file = '';
const stop = new AbortController();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-follow-'));
  file = join(directory, 'ca.crt');
});
afterEach(() => {
  stop.abort();
  rmSync(directory, { recursive: true, force: true });
});

function write(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

it('a file that changed after it was read and before it was followed has changed', async () => {
  write('old');
  const followed = await followedFile(file);
  expect(followed.current()).toBe('old');
  write('new');
  let changed = Promise.withResolvers<string>();
  followed.onChange(() => changed.resolve(followed.current()));
  const failed = Promise.withResolvers<never>();
  const following = followed.follow(failed.reject, stop.signal);
  expect(await Promise.race([changed.promise, failed.promise])).toBe('new');
  changed = Promise.withResolvers();
  write('newer');
  expect(await Promise.race([changed.promise, failed.promise])).toBe('newer');
  stop.abort();
  await following;
});
