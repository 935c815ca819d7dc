import { beforeAll, describe, expect, it } from 'vitest';
import type { ClusterTrustBundle } from '../../../api/types.ts';
import { createAuthority } from '../../../pki/ca.ts';
import { validateTrustBundle, validateTrustBundleUpdate } from './trust-bundle-validation.ts';

const SIGNER = 'example.com/signer';
let anchor = '';
beforeAll(async () => {
  anchor = (await createAuthority('one', Date.now())).certificate;
});

const bundle = (name: string, spec: Partial<ClusterTrustBundle['spec']>) =>
  ({ metadata: { name }, spec: { trustBundle: anchor, ...spec } }) as unknown as ClusterTrustBundle;
const said = (name: string, spec: Partial<ClusterTrustBundle['spec']> = {}) =>
  validateTrustBundle(bundle(name, spec)).map(({ message }) => message);

describe('validateTrustBundle', () => {
  it('takes bundles with a signer in their name, and others without one', () => {
    expect(said('roots')).toEqual([]);
    expect(said('example.com:signer:roots', { signerName: SIGNER })).toEqual([]);
    expect(said('a:roots')[0]).toMatch(/without signer name must not have ":" in its name/);
    const prefixed = /must be named with prefix example.com:signer:$/;
    expect(said('roots', { signerName: SIGNER })[0]).toMatch(prefixed);
    expect(said('x', { signerName: 'nobody' }).join()).toMatch(/fully qualified domain and path/);
  });

  it('takes nothing but certificates, each once', () => {
    const of = (trustBundle: string) => said('roots', { trustBundle }).join();
    expect(of('')).toMatch(/at least one trust anchor must be provided/);
    expect(of(anchor.replaceAll('CERTIFICATE', 'KEY'))).toMatch(/entry 0 has bad block type: KEY/);
    expect(of(anchor.replace('MI', 'XX'))).toMatch(/entry 0 does not parse as a X.509 certificate/);
    expect(of(`${anchor}\nwords\n${anchor}`)).toMatch(/duplicate trust anchor \(indices \[0 1\]\)/);
    expect(of('x'.repeat(1024 * 1024 + 1))).toMatch(/Too long/);
  });

  it('does not let a bundle change its signer', () => {
    const old = bundle('example.com:signer:a', { signerName: SIGNER });
    const errors = validateTrustBundleUpdate(bundle('example.com:signer:a', {}), old);
    expect(errors.map(({ field }) => field)).toContain('spec.signerName');
  });
});
