import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { aescbc, aesgcm, secretbox } from './transformers.ts';

const plain = Buffer.from('the secret of the day');
const PATH = '/registry/secrets/a/b';

describe.each([
  ['aescbc', aescbc],
  ['aesgcm', aesgcm],
  ['secretbox', secretbox],
] as const)('%s', (_, make) => {
  const sealer = make('key1', randomBytes(32));

  it('opens what it sealed, and hides it', () => {
    const sealed = sealer.seal(plain, PATH);
    expect(sealed.includes('secret')).toBe(false);
    expect(sealer.open(sealed, PATH)).toEqual(plain);
    expect(sealer.seal(plain, PATH)).not.toEqual(sealed);
  });

  it('does not open what another key sealed', () => {
    const other = make('key1', randomBytes(32)).seal(plain, PATH);
    let opened: Buffer | undefined;
    try {
      opened = sealer.open(other, PATH);
    } catch {
      // CBC has no tag: its padding tells, nearly always.
    }
    expect(opened).not.toEqual(plain);
  });
});

it('aesgcm binds a value to its path', () => {
  const sealer = aesgcm('key1', randomBytes(32));
  expect(() => sealer.open(sealer.seal(plain, PATH), `${PATH}x`)).toThrow();
});
