import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identifyProcess, signalProcess } from '../host/processes.ts';
import { realClock } from '../util/clock.ts';
import { silent } from '../util/log.ts';
import type { ProcessSpec } from './components.ts';
import { launch } from './supervised-process.ts';
import { type ProcessStatus, Supervisor, statusFile } from './supervisor.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'k8ts-supervisor-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const sleeper = (name: string, seconds = '60', stopStage = 0): ProcessSpec => ({
  name,
  program: 'sh',
  args: ['-c', `echo ${name} started; exec sleep ${seconds}`],
  env: {},
  logFile: join(dir, 'log', `${name}.log`),
  stopStage,
});

/** Runs a supervisor until the callback returns, and answers what that answered. */
async function supervise<T>(
  specs: ProcessSpec[],
  body: (supervisor: Supervisor) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const supervisor = new Supervisor(
    { clock: realClock, log: silent, runDir: dir, journal: false },
    specs,
  );
  const running = supervisor.run(controller.signal);
  try {
    return await body(supervisor);
  } finally {
    controller.abort();
    await running;
  }
}

/** Waits until a process has said so often that it started. */
async function starts(name: string, times: number): Promise<void> {
  const log = join(dir, `log/${name}.log`);
  while (readFileSync(log, 'utf8') !== `${name} started\n`.repeat(times)) {
    await realClock.sleep(5);
  }
}

async function pidOf(supervisor: Supervisor, name: string, not?: number): Promise<number> {
  for (;;) {
    const pid = supervisor.status.find((status) => status.name === name)?.pid;
    if (pid !== undefined && pid !== not) return pid;
    await realClock.sleep(5);
  }
}

describe('Supervisor', () => {
  it('starts its processes, writes their status and logs, and stops them', async () => {
    const [a, b] = await supervise([sleeper('a'), sleeper('b', '60', 1)], async (supervisor) => [
      await pidOf(supervisor, 'a'),
      await pidOf(supervisor, 'b'),
    ]);
    expect(identifyProcess(a ?? 0)).toBeUndefined();
    expect(identifyProcess(b ?? 0)).toBeUndefined();
    const status = JSON.parse(readFileSync(statusFile(dir), 'utf8')) as ProcessStatus[];
    expect(status.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('starts again what is killed, and counts it', async () => {
    await supervise([sleeper('a')], async (supervisor) => {
      const first = await pidOf(supervisor, 'a');
      await starts('a', 1);
      signalProcess(first, 'SIGKILL');
      await pidOf(supervisor, 'a', first);
      expect(supervisor.status[0]).toMatchObject({ restarts: 1, lastEnd: 'killed by SIGKILL' });
      await starts('a', 2);
    });
  });

  it('adopts a process that an earlier supervisor left, unless its command line is out of date', async () => {
    const [a, b] = [sleeper('a'), sleeper('b')].map(
      (spec) => launch(spec, { runDir: dir, journal: false }).identity.pid,
    );
    await supervise([sleeper('a'), sleeper('b', '61')], async (supervisor) => {
      expect(await pidOf(supervisor, 'a')).toBe(a);
      expect(await pidOf(supervisor, 'b')).not.toBe(b);
    });
    expect(identifyProcess(a ?? 0)).toBeUndefined();
    expect(identifyProcess(b ?? 0)).toBeUndefined();
  });
});
