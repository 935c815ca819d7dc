import { describe, expect, it } from 'vitest';
import { newCertificateKey, open, seal } from './shared-certificates.ts';

describe('certificates on their way', () => {
  const key = newCertificateKey();

  it('are read with their key alone', () => {
    const sealed = seal(Buffer.from('a private key'), key);
    expect(sealed.includes('private')).toBe(false);
    expect(String(open(sealed, key))).toBe('a private key');
    expect(() => open(sealed, newCertificateKey())).toThrow(/does not fit/);
    expect(() => open(sealed, 'abc')).toThrow(/64 hexadecimal digits/);
  });

  it('are not believed when they were changed', () => {
    const sealed = seal(Buffer.from('a private key'), key);
    sealed.writeUInt8(sealed.readUInt8(14) ^ 1, 14);
    expect(() => open(sealed, key)).toThrow(/does not fit/);
  });
});
