import { describe, expect, it } from 'vitest';
import { certificateEnd, createAuthority, issueCertificate } from './ca.ts';
import { isIssuedBy, readCertificate } from './certificate.ts';
import { generateKeyPair } from './keys.ts';

const now = Date.UTC(2026, 0, 1);

describe('createAuthority', () => {
  it('makes a self-signed authority that lives for ten years', async () => {
    const authority = await createAuthority('kubernetes', now);
    const facts = readCertificate(authority.certificate);
    expect(facts).toMatchObject({ commonName: 'kubernetes', isAuthority: true });
    expect(facts.notAfter.getUTCFullYear()).toBe(2035);
    expect(isIssuedBy(authority.certificate, authority.key, authority.certificate)).toBe(true);
  });
});

describe('issueCertificate', () => {
  it('puts the user into CN, its groups into O and every name into the alternative names', async () => {
    const authority = await createAuthority('kubernetes', now);
    const issued = await issueCertificate(
      authority,
      {
        commonName: 'system:node:a',
        organizations: ['system:nodes', 'second'],
        names: ['a', 'kubernetes.default.svc', '10.96.0.1', '::1'],
        usages: ['server', 'client'],
        notAfter: certificateEnd(now),
      },
      now,
    );
    expect(readCertificate(issued.certificate)).toMatchObject({
      commonName: 'system:node:a',
      organizations: ['system:nodes', 'second'],
      names: ['a', 'kubernetes.default.svc', '10.96.0.1', '0:0:0:0:0:0:0:1'],
      notAfter: new Date(Date.UTC(2027, 0, 1)),
      isAuthority: false,
      issuer: 'kubernetes',
    });
    expect(isIssuedBy(issued.certificate, issued.key, authority.certificate)).toBe(true);
  });

  it('is not mistaken for the certificate of another authority or key', async () => {
    const [authority, other] = await Promise.all([
      createAuthority('kubernetes', now),
      createAuthority('kubernetes', now),
    ]);
    const request = { commonName: 'a', usages: ['client' as const], notAfter: certificateEnd(now) };
    const issued = await issueCertificate(authority, request, now);
    expect(isIssuedBy(issued.certificate, issued.key, other.certificate)).toBe(false);
    const { privateKey } = await generateKeyPair();
    expect(isIssuedBy(issued.certificate, privateKey, authority.certificate)).toBe(false);
  });

  it('never outlives its authority', async () => {
    const authority = await createAuthority('kubernetes', now);
    const issued = await issueCertificate(
      authority,
      { commonName: 'a', usages: ['client'], notAfter: new Date(Date.UTC(2050, 0, 1)) },
      now,
    );
    expect(readCertificate(issued.certificate).notAfter.getUTCFullYear()).toBe(2035);
  });
});
