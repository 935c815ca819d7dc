import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createAuthority } from './ca.ts';
import { isIssuedBy, readCertificate } from './certificate.ts';
import { createSigningRequest, readSigningRequest, signRequest } from './csr.ts';
import { generateKeyPair } from './keys.ts';

const now = Date.UTC(2026, 0, 1);
const who = {
  commonName: 'system:node:a',
  organizations: ['system:nodes'],
  names: ['a', '10.0.0.7'],
};

describe('readSigningRequest', () => {
  it('tells what createSigningRequest asked for', async () => {
    const { privateKey } = await generateKeyPair();
    expect(await readSigningRequest(await createSigningRequest(privateKey, who))).toEqual({
      commonName: 'system:node:a',
      organizations: ['system:nodes'],
      dnsNames: ['a'],
      ipAddresses: ['10.0.0.7'],
      emailAddresses: [],
      uris: [],
    });
  });

  it('refuses what is no request', async () => {
    await expect(readSigningRequest('hello')).rejects.toThrow();
  });
});

describe('signRequest', () => {
  it('signs the subject, the names and the usages that were asked for', async () => {
    const authority = await createAuthority('kubernetes', now);
    const { privateKey } = await generateKeyPair();
    const terms = {
      usages: ['digital signature', 'client auth'],
      notAfter: new Date(now + 3_600_000),
    };
    const request = await createSigningRequest(privateKey, who);
    const pem = await signRequest(authority, request, terms, now);
    expect(isIssuedBy(pem, privateKey, authority.certificate)).toBe(true);
    expect(readCertificate(pem)).toMatchObject({
      commonName: 'system:node:a',
      organizations: ['system:nodes'],
      names: ['a', '10.0.0.7'],
      notAfter: terms.notAfter,
      isAuthority: false,
    });
    expect(new X509Certificate(pem).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  });

  it('refuses usages that certificates cannot carry', async () => {
    const authority = await createAuthority('kubernetes', now);
    const request = await createSigningRequest((await generateKeyPair()).privateKey, who);
    const terms = { usages: ['ipsec user'], notAfter: new Date(now) };
    await expect(signRequest(authority, request, terms, now)).rejects.toThrow('unrecognized usage');
  });
});
