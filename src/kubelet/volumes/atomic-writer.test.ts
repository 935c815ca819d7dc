import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Payload, payloadDigest, writeAtomically } from './atomic-writer.ts';

const files = (contents: Record<string, string>, mode = 0o644): Payload =>
  new Map(
    Object.entries(contents).map(([path, text]) => [path, { data: Buffer.from(text), mode }]),
  );

describe('writeAtomically', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'atomic-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const read = (path: string) => readFileSync(join(directory, path), 'utf8');
  const visible = () => readdirSync(directory).filter((name) => !name.startsWith('..'));
  const versions = () => readdirSync(directory).filter((name) => /^\.\.\d/.test(name));

  it('shows files through one link, with their modes', () => {
    writeAtomically(directory, files({ a: '1', 'deep/b': '2' }, 0o400));
    expect(visible()).toEqual(['a', 'deep']);
    expect([read('a'), read('deep/b')]).toEqual(['1', '2']);
    expect(readlinkSync(join(directory, 'a'))).toBe('..data/a');
    expect(statSync(join(directory, 'deep/b')).mode & 0o777).toBe(0o400);
  });

  // As root, which is whom the kubelet runs as.
  it.runIf(process.getuid?.() === 0)('gives files to their user and all to the group', () => {
    const data = Buffer.from('1');
    const payload = new Map([
      ['token', { data, mode: 0o640, uid: 1000 }],
      ['ca', { data, mode: 0o644 }],
    ]);
    writeAtomically(directory, payload, 2000);
    const owner = (name: string) => {
      const { uid, gid } = statSync(join(directory, name));
      return [uid, gid];
    };
    expect([owner('token'), owner('ca')]).toEqual([
      [1000, 2000],
      [0, 2000],
    ]);
  });

  it('replaces all files at once and leaves only the newest version', () => {
    writeAtomically(directory, files({ a: '1', old: 'x' }));
    const before = readlinkSync(join(directory, '..data'));
    writeAtomically(directory, files({ a: '2', new: 'y' }));
    expect(visible()).toEqual(['a', 'new']);
    expect(read('a')).toBe('2');
    expect(readlinkSync(join(directory, '..data'))).not.toBe(before);
    expect(versions()).toHaveLength(1);
  });

  it('makes an empty volume of nothing', () => {
    writeAtomically(directory, files({ a: '1' }));
    writeAtomically(directory, new Map());
    expect(visible()).toEqual([]);
  });

  it('goes on after a crash that left its link behind', () => {
    mkdirSync(join(directory, '..2020'));
    symlinkSync('..2020', join(directory, '..data_tmp'));
    writeAtomically(directory, files({ a: '1' }));
    expect(read('a')).toBe('1');
    expect(versions()).toHaveLength(1);
  });
});

describe('payloadDigest', () => {
  it('depends on names, contents and modes, not on the order', () => {
    const digest = payloadDigest(files({ a: '1', b: '2' }));
    expect(payloadDigest(files({ b: '2', a: '1' }))).toBe(digest);
    expect(payloadDigest(files({ a: '12', b: '' }))).not.toBe(digest);
    expect(payloadDigest(files({ a: '1', b: '2' }, 0o600))).not.toBe(digest);
  });
});
