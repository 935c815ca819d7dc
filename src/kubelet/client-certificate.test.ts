import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeClient } from '../client/client.fake.ts';
import { certificateEnd, createAuthority, issueCertificate } from '../pki/ca.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { CertificateFiles } from './certificates/certificate-files.ts';
import { ClientCertificate } from './client-certificate.ts';
import { rotateServingCertificate } from './identity.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-client-certificate-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('ClientCertificate', () => {
  it('is of the newest authority before the serving certificate is asked for', async () => {
    const clock = new FakeClock();
    const old = await createAuthority('kubernetes', clock.now());
    const fresh = await createAuthority('kubernetes', clock.now() + 60_000);
    const wish = {
      commonName: 'system:node:n',
      usages: ['client' as const],
      notAfter: certificateEnd(clock.now()),
    };
    const [before, after] = [
      await issueCertificate(old, wish, clock.now()),
      await issueCertificate(fresh, wish, clock.now()),
    ];
    await new CertificateFiles(directory, 'kubelet-server').store(before, clock.now());
    const clientCertificate = new ClientCertificate();
    const follows = vi.spyOn(clientCertificate, 'follows');
    const authority = {
      current: () => fresh.certificate + old.certificate,
      onChange: () => {},
    };
    const api = new FakeClient();
    const options = {
      ...{ kubeconfig: '', certDir: directory, nodeName: 'n', names: ['n'], userAgent: 'kubelet' },
      ...{ rotates: true, authority, clientCertificate },
    };
    const deps = { clock, log: silent, client: api, onChange: () => {} };
    const stop = new AbortController();
    const rotating = rotateServingCertificate(options, deps, stop.signal);
    clientCertificate.set(before);
    await expect.poll(() => follows.mock.calls.length).toBe(1);
    expect(api.log).toEqual([]);
    clientCertificate.set(after);
    await expect.poll(() => api.log.length).toBe(1);
    expect(api.log[0]).toMatch(/^create certificatesigningrequests /);
    stop.abort();
    await rotating.catch(() => {});
  });

  it('is waited for no longer when that is over', async () => {
    const stop = new AbortController();
    const waiting = new ClientCertificate().follows(
      { current: () => '', onChange: () => {} },
      stop.signal,
    );
    stop.abort(new Error('the kubelet ends'));
    await expect(waiting).rejects.toThrow('the kubelet ends');
  });
});
