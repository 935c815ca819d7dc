import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { componentFiles, networkTools, nodeFiles } from './k8ts-files.ts';
import { imageArchive } from './oci.ts';
import { stripProgram } from './strip.ts';
import { sizeOf, tar } from './tar.ts';

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-images-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('tar', () => {
  it('is read by tar(1): files from memory and disk, links, directories, long names', async () => {
    await inDirectory(async (directory) => {
      const long = `${'folder/'.repeat(20)}name`;
      writeFileSync(join(directory, 'source'), 'from disk');
      const pieces = tar([
        { path: 'bin/', mode: 0o755 },
        { path: 'bin/a', mode: 0o644, content: [Buffer.from('in '), Buffer.from('pieces')] },
        { path: 'bin/b', mode: 0o777, link: 'a' },
        {
          path: long,
          mode: 0o600,
          from: { file: join(directory, 'source'), change: (text) => text.subarray(5) },
        },
      ]);
      const archive = join(directory, 'x.tar');
      writeFileSync(archive, Buffer.concat(pieces));
      expect(sizeOf(pieces) % 512).toBe(0);
      const { stdout } = await run('tar', ['-tvf', archive]);
      expect(stdout).toContain('lrwxrwxrwx');
      expect(stdout).toContain('bin/b -> a');
      const content = async (path: string) => (await run('tar', ['-xOf', archive, path])).stdout;
      expect(await content('bin/a')).toBe('in pieces');
      expect(await content(long)).toBe('disk');
    });
  });
});

describe('imageArchive', () => {
  it('lists its layers from the lowest up, by their digests', () => {
    const layer = (text: string) => [{ path: text, mode: 0o644, content: Buffer.from(text) }];
    const archive = Buffer.concat(imageArchive('example/x:1', [layer('low'), layer('high')], {}));
    const [, layers] = /"layers":(\[.*?\])/.exec(archive.toString('latin1')) ?? [];
    const sizes = (JSON.parse(layers ?? '[]') as { size: number }[]).map(({ size }) => size);
    expect(sizes).toEqual([sizeOf(tar(layer('low'))), sizeOf(tar(layer('high')))]);
    const again = imageArchive('example/x:1', [layer('low'), layer('high')], {});
    expect(Buffer.concat(again).equals(archive)).toBe(true);
  });
});

describe('stripProgram', () => {
  it('makes a program smaller that still runs', async () => {
    await inDirectory(async (directory) => {
      const { readFile, writeFile } = await import('node:fs/promises');
      const whole = await readFile(process.execPath);
      const stripped = stripProgram(whole);
      expect(stripped.length).toBeLessThan(whole.length * 0.9);
      const program = join(directory, 'node');
      await writeFile(program, stripped, { mode: 0o755 });
      expect((await run(program, ['-p', '6 * 7'])).stdout.trim()).toBe('42');
    });
  });
});

describe('networkTools', () => {
  it('work where there is nothing else, also those that iptables loads by name', async () => {
    await inDirectory(async (directory) => {
      const archive = join(directory, 'tools.tar');
      writeFileSync(archive, Buffer.concat(tar([...nodeFiles(), ...networkTools()])));
      const root = join(directory, 'root');
      await run('mkdir', [root]);
      await run('tar', ['-xf', archive, '-C', root]);
      const rule =
        '-A OUTPUT -m comment --comment x -p tcp -m statistic --mode random --probability 0.5 -j ACCEPT';
      const input = `*filter\n${rule}\nCOMMIT\n`;
      const within = ['--net', 'chroot', root];
      await run('unshare', [...within, '/usr/sbin/iptables-restore', '--test'], { input });
      const { stdout } = await run('unshare', [...within, '/usr/sbin/nft', '--version']);
      expect(stdout).toContain('nftables');
    });
  });
});

describe('componentFiles', () => {
  it("start components by upstream's names", () => {
    const paths = componentFiles().map(({ path }) => path);
    expect(paths).toContain('usr/bin/kube-apiserver');
    expect(String(componentFiles()[0]?.content)).toContain("'apiserver'");
  });
});
