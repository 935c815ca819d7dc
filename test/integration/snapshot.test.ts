import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startApiProcess } from '../support/api-process.ts';

// Backup and restore as an operator does it, with real processes.

const MAPS = '/api/v1/namespaces/default/configmaps';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-backup-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function k8ts(...args: string[]): { code: number | null; out: string; err: string } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['src/cli/cli.ts', ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

describe('k8ts snapshot', () => {
  it('saves a server in use, and a restored one goes on behind everything that clients have seen', async () => {
    const store = join(directory, 'store');
    const restored = join(directory, 'restored');
    const file = join(directory, 'snapshot');
    const before = await startApiProcess({ storage: () => ['--data-dir', store] });
    let seen = '';
    try {
      for (const name of ['a', 'b']) await before.send('POST', MAPS, { metadata: { name } });
      const saved = k8ts('snapshot', 'save', file, '--data-dir', store);
      expect(saved.code, saved.err).toBe(0);
      expect(k8ts('snapshot', 'status', file).out).toBe(saved.out);
      expect(k8ts('snapshot', 'save', file, '--data-dir', store).err).toContain('exists already');
      await before.send('DELETE', `${MAPS}/a`);
      const later = await before.send('POST', MAPS, { metadata: { name: 'later' } });
      seen = JSON.parse(later.text).metadata.resourceVersion;
      expect(k8ts('snapshot', 'restore', file, '--data-dir', store).err).toContain('not empty');
    } finally {
      await before.stop();
    }
    const made = k8ts('snapshot', 'restore', file, '--data-dir', restored);
    expect(made.code, made.err).toBe(0);
    expect(readdirSync(directory).sort()).toEqual(['restored', 'snapshot', 'store']);

    const after = await startApiProcess({ storage: () => ['--data-dir', restored] });
    try {
      const list = JSON.parse((await after.send('GET', MAPS)).text);
      const names = list.items.map((item: { metadata: { name: string } }) => item.metadata.name);
      expect(names).toEqual(expect.arrayContaining(['a', 'b']));
      expect(names).not.toContain('later');
      expect(Number(list.metadata.resourceVersion)).toBeGreaterThan(Number(seen));
      // Who watched the lost future is sent back to a new list.
      const watch = await after.send(
        'GET',
        `${MAPS}?watch=1&resourceVersion=${seen}&timeoutSeconds=5`,
      );
      expect(JSON.parse(watch.text)).toMatchObject({ type: 'ERROR', object: { code: 410 } });
      expect((await after.send('POST', MAPS, { metadata: { name: 'new' } })).status).toBe(201);
    } finally {
      await after.stop();
    }
  });

  it('refuses an interval at which the server would do little else', () => {
    const files = ['--tls-cert-file', '-', '--tls-private-key-file', '-'];
    const flags = ['--data-dir', join(directory, 'x'), '--snapshot-dir', join(directory, 'y')];
    const { err, code } = k8ts('apiserver', ...files, ...flags, '--snapshot-interval', '5s');
    expect([code, err]).toEqual([1, 'k8ts: --snapshot-interval must be at least 1m\n']);
  });
});
