import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeEvents } from '../../client/events.fake.ts';
import { DEFAULTS } from '../config.ts';
import { tellHostWarnings } from './host-warnings.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-resolver-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function told(searches: string[] | undefined, change: object = {}): Promise<string[]> {
  const resolvConf = join(directory, 'resolv.conf');
  if (searches) writeFileSync(resolvConf, `nameserver 192.0.2.1\nsearch ${searches.join(' ')}\n`);
  const recorder = new FakeEvents();
  const config = { ...DEFAULTS, resolvConf, clusterDomain: 'cluster.local', ...change };
  await tellHostWarnings({ recorder, config, cgroups: { version: 2 }, nodeName: 'n' });
  return recorder.lines.map((line) => line.replaceAll(directory, ''));
}

const numbered = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, i) => `${i}`.padEnd(length, 'x'));

describe('tellHostWarnings', () => {
  it('has nothing to say of an ordinary machine', async () => {
    expect(await told(numbered(29, 5))).toEqual([]);
    expect(await told(numbered(32, 5), { clusterDomain: '' })).toEqual([]);
    expect(await told(undefined, { resolvConf: '' })).toEqual([]);
  });

  it('tells of control groups of version 1', async () => {
    const recorder = new FakeEvents();
    const config = { ...DEFAULTS, resolvConf: '' };
    await tellHostWarnings({ recorder, config, cgroups: { version: 1 }, nodeName: 'n' });
    expect(recorder.lines).toEqual([
      expect.stringMatching(
        /^Warning CgroupV1 n: cgroup v1 detected\. .* Please migrate to cgroup v2\. /,
      ),
    ]);
  });

  it.each([
    [
      numbered(30, 5),
      "Resolv.conf file '/resolv.conf' contains search line consisting of more than 29 domains!",
    ],
    [
      numbered(2, 254),
      'Resolv.conf file "/resolv.conf" contains a search path which length is more than allowed 253 chars!',
    ],
    [
      numbered(10, 220),
      "Resolv.conf file '/resolv.conf' contains search line which length is more than allowed 2048 chars!",
    ],
    [undefined, "ENOENT: no such file or directory, open '/resolv.conf'"],
  ])(
    'tells of a resolver whose list leaves no room, or cannot be read (%#)',
    async (searches, message) => {
      expect(await told(searches)).toEqual([`Warning CheckLimitsForResolvConf n: ${message}`]);
    },
  );
});
