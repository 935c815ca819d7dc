import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import type { PullSecret } from './pull-credentials.ts';
import { bareName, PullRecords, type VerificationPolicy } from './pull-records.ts';

let rootDir = '';
beforeEach(() => {
  rootDir = mkdtempSync(join(tmpdir(), 'k8ts-pulls-'));
});
afterEach(() => rmSync(rootDir, { recursive: true, force: true }));

const NAME = 'registry.test:5000/team/app:1';
const IMAGE = {
  id: 'sha256:1',
  repoTags: [NAME],
  repoDigests: [],
  size: 1,
  uid: null,
  username: '',
  pinned: false,
};
const secretOf = (name: string, password: string): PullSecret => ({
  registry: 'registry.test:5000',
  auth: { username: 'ann', password },
  source: { uid: `uid-${name}`, namespace: 'ns', name },
});
// Each time as after a restart of the kubelet.
const records = (policy: VerificationPolicy = 'NeverVerifyPreloadedImages') =>
  new PullRecords({ clock: new FakeClock(), rootDir, policy });

describe('PullRecords', () => {
  it('lets those use a private image who have the secret or its credentials', async () => {
    await records().pulled(NAME, IMAGE.id, secretOf('first', 'right'));
    const mayUse = (...secrets: PullSecret[]) => records().mayUse(NAME, IMAGE, secrets);
    expect(await mayUse()).toBe(false);
    expect(await mayUse(secretOf('other', 'wrong'))).toBe(false);
    expect(await mayUse(secretOf('other', 'right'))).toBe(true);
    // The secret has been given another password since.
    expect(await mayUse(secretOf('first', 'newer'))).toBe(true);
  });

  it('lets everybody use an image that needs no credentials, also when others used some', async () => {
    await records().pulled(NAME, IMAGE.id, secretOf('first', 'right'));
    await records().pulled(NAME, IMAGE.id, undefined);
    await records().pulled(NAME, IMAGE.id, secretOf('second', 'right'));
    expect(await records().mayUse(NAME, IMAGE, [])).toBe(true);
  });

  it('takes a private image’s id for no other image', async () => {
    await records().pulled(NAME, IMAGE.id, secretOf('first', 'right'));
    expect(await records().mayUse(IMAGE.id, IMAGE, [])).toBe(false);
  });

  it('forgets an image that was removed', async () => {
    await records().pulled(NAME, IMAGE.id, secretOf('first', 'right'));
    await records().removed(IMAGE.id);
    expect(await records().mayUse(NAME, IMAGE, [])).toBe(true);
  });

  it('does with images that were put here as the policy says', async () => {
    expect(await records().mayUse(NAME, IMAGE, [])).toBe(true);
    expect(await records('AlwaysVerify').mayUse(NAME, IMAGE, [])).toBe(false);
    await records().pulled(NAME, IMAGE.id, secretOf('first', 'right'));
    expect(await records('NeverVerify').mayUse(NAME, IMAGE, [])).toBe(true);
  });
});

describe('bareName', () => {
  it.each([
    ['busybox', 'busybox'],
    ['busybox:1', 'busybox'],
    ['host:5000/a/b', 'host:5000/a/b'],
    ['host:5000/a/b:1@sha256:00', 'host:5000/a/b'],
  ])('%s: %s', (image, name) => {
    expect(bareName(image)).toBe(name);
  });
});
