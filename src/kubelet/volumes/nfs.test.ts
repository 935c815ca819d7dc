import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MountOptions, Mounts } from '../../host/mounts.ts';
import { podWith } from '../pods.fake.ts';
import { mountNfs } from './persistent-volumes.ts';

/** Notes what is mounted, or refuses as mount(8) does without /sbin/mount.nfs. */
function mountTable(refusal?: string): Mounts & { readonly mounted: MountOptions[] } {
  const mounted: MountOptions[] = [];
  return {
    mounted,
    list: async () =>
      mounted.map(({ target, source }) => ({ path: target, source, fsType: 'nfs', options: [] })),
    async mount(what) {
      if (refusal !== undefined) throw new Error(refusal);
      mounted.push(what);
    },
    unmount: async () => {},
  };
}

describe('mountNfs', () => {
  let rootDir = '';
  beforeAll(() => {
    rootDir = mkdtempSync(join(tmpdir(), 'k8ts-nfs-'));
  });
  afterAll(() => rmSync(rootDir, { recursive: true }));
  const mount = (mounts: Mounts, server: string) =>
    mountNfs({ mounts, rootDir }, podWith(), {
      ...{ name: 'v', source: { server, path: '/exports/a' } },
      ...{ options: ['nfsvers=4.1', 'ro'], readOnly: true },
    });

  it.each([
    ['files.test', 'files.test:/exports/a'],
    ['192.0.2.1', '192.0.2.1:/exports/a'],
    ['2001:db8::1', '[2001:db8::1]:/exports/a'],
  ])('mounts an export of %s once, with its options', async (server, source) => {
    const mounts = mountTable();
    const volume = await mount(mounts, server);
    expect(await mount(mounts, server)).toEqual(volume);
    const options = ['nfsvers=4.1', 'ro'];
    expect(mounts.mounted).toEqual([{ source, target: volume.hostPath, fsType: 'nfs', options }]);
    expect(volume).toMatchObject({ readOnly: true });
  });

  it('passes on what mount says where its helper is missing', async () => {
    const words = 'you might need a /sbin/mount.<type> helper program';
    await expect(mount(mountTable(words), 'files.test')).rejects.toThrow(words);
  });
});
