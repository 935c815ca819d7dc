import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kernelMessages } from '../host/kernel-log.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { systemOomVictim } from './oom-watcher.ts';

const GLOBAL =
  'oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/user.slice,task=stress, v2,pid=4711,uid=0';
const OF_A_GROUP =
  'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/kubepods/pod1,task_memcg=/kubepods/pod1,task=tail,pid=9,uid=0';

describe('systemOomVictim', () => {
  it.each([
    [GLOBAL, { process: 'stress, v2', pid: 4711 }],
    [OF_A_GROUP, undefined],
    ['Out of memory: Killed process 4711 (stress)', undefined],
  ])('%s', (text, victim) => {
    expect(systemOomVictim(text)).toEqual(victim);
  });
});

describe('kernelMessages', () => {
  it('yields the text of a record that is newer than the reader', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'k8ts-kmsg-'));
    const path = join(directory, 'kmsg');
    const stop = new AbortController();
    try {
      // A plain file is read whole: one record.
      writeFileSync(path, `4,1,${(uptime() + 60) * 1e6},-;${GLOBAL}\n SUBSYSTEM=x\n`);
      const messages = kernelMessages({ clock: new FakeClock(), path }, stop.signal);
      expect((await messages.next()).value).toBe(GLOBAL);
    } finally {
      stop.abort();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
