import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  certificateEnd,
  createAuthority,
  issueCertificate,
  type KeyAndCertificate,
} from '../../pki/ca.ts';
import { isOfOlderAuthority } from '../../pki/certificate.ts';
import { drive, FakeClock } from '../../util/clock.fake.ts';
import { silent } from '../../util/log.ts';
import { CertificateFiles } from './certificate-files.ts';
import { CertificateRotation } from './certificate-rotation.ts';

const MINUTE = 60_000;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-rotation-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('CertificateRotation', () => {
  it('asks anew when an authority has come that is newer than its own, until it has one of that', async () => {
    const clock = new FakeClock();
    const old = await createAuthority('kubernetes', clock.now());
    const fresh = await createAuthority('kubernetes', clock.now() + MINUTE);
    const issue = (authority: KeyAndCertificate): Promise<KeyAndCertificate> => {
      const now = clock.now();
      const wish = { commonName: 'system:node:n', usages: ['client' as const] };
      return issueCertificate(authority, { ...wish, notAfter: certificateEnd(now) }, now);
    };
    let signer = old;
    let asked = 0;
    let believed = old.certificate;
    let changed = () => {};
    const authority = {
      current: () => believed,
      onChange: (listener: () => void) => {
        changed = listener;
      },
    };
    const got: KeyAndCertificate[] = [];
    const rotation = new CertificateRotation({
      ...{ clock, log: silent, authority },
      files: new CertificateFiles(directory, 'kubelet-client'),
      request: () => {
        asked += 1;
        return issue(signer);
      },
      onChange: (pair) => got.push(pair),
    });
    const stop = new AbortController();
    const running = rotation.run(stop.signal);
    await expect.poll(() => got.length).toBe(1);
    const halt = drive(clock, 1000);
    believed = fresh.certificate + old.certificate;
    changed();
    // The signer has not changed yet: asked again and again, but ever more seldom.
    await expect.poll(() => asked).toBeGreaterThan(2);
    signer = fresh;
    await expect
      .poll(() => isOfOlderAuthority(got.at(-1)?.certificate ?? '', believed), { timeout: 30_000 })
      .toBe(false);
    const before = asked;
    believed = fresh.certificate;
    changed();
    await halt();
    await clock.advance(60 * MINUTE);
    expect(asked).toBe(before);
    stop.abort();
    await running;
  });
});
