import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { systemLogind } from '../../src/host/logind.ts';
import { systemSlices } from '../../src/host/systemd-cgroups.ts';
import { NodeShutdown } from '../../src/kubelet/node-shutdown.ts';
import { podWith } from '../../src/kubelet/pods.fake.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { eventually } from '../support/eventually.ts';

// busctl and systemd-inhibit are the real ones, on a message bus of our own; systemd itself would have to be process 1.
const STAND_IN = resolve(import.meta.dirname, '../support/systemd-stand-in.py');
const directory = mkdtempSync(join(tmpdir(), 'k8ts-systemd-'));
const socket = join(directory, 'bus');
const CONFIGURATION = `<busconfig>
<type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy>
</busconfig>`;
const children: ChildProcess[] = [];
const stop = new AbortController();
let running: Promise<void> = Promise.resolve();
const busBefore = process.env.DBUS_SYSTEM_BUS_ADDRESS;

function manager(...args: string[]): Promise<string> {
  const where = ['org.freedesktop.login1', '/org/freedesktop/login1'];
  const call = ['--system', '--json=short', 'call', ...where, 'org.freedesktop.login1.Manager'];
  return run('busctl', [...call, ...args]).then(({ stdout }) => stdout);
}

/** The locks that a shutdown waits for. */
const locks = async () => JSON.parse(await manager('ListInhibitors')).data[0] as unknown[][];

beforeAll(async () => {
  const file = join(directory, 'bus.conf');
  writeFileSync(file, CONFIGURATION);
  process.env.DBUS_SYSTEM_BUS_ADDRESS = `unix:path=${socket}`;
  children.push(spawn('dbus-daemon', [`--config-file=${file}`, '--nofork']));
  await eventually('the bus is there', () => existsSync(socket));
  children.push(spawn('/usr/bin/python3', [STAND_IN], { stdio: 'inherit' }));
  await eventually('logind answers', () => systemLogind.longestDelay());
});

afterAll(async () => {
  stop.abort();
  await running;
  for (const child of children) child.kill();
  if (busBefore === undefined) delete process.env.DBUS_SYSTEM_BUS_ADDRESS;
  else process.env.DBUS_SYSTEM_BUS_ADDRESS = busBefore;
  rmSync(directory, { recursive: true, force: true });
});

describe('a machine that is shut down', () => {
  const ended: string[] = [];
  const over = new Set<string>();
  const shutdown = new NodeShutdown(
    {
      ...{ logind: systemLogind, clock: realClock, log: silent, onChange: () => {} },
      pods: () => [
        podWith({ priority: 2_000_000_000 }, { uid: 'dns' }),
        podWith({}, { uid: 'web' }),
      ],
      end: (uid) => ended.push(uid),
      isOver: (uid) => over.has(uid),
      told: () => Promise.resolve(),
    },
    { totalMs: 30_000, criticalMs: 10_000 },
  );

  it('may be asked to wait as long as the pods need', async () => {
    expect(await systemLogind.longestDelay()).toBe(60_000);
    await shutdown.check();
  });

  it('waits for the kubelet, which ends ordinary pods first and then the critical ones', async () => {
    running = shutdown.run(stop.signal);
    await eventually('the lock is held', async () => (await locks()).length === 1);
    const why = 'Kubelet needs time to handle node shutdown';
    expect((await locks())[0]?.slice(0, 4)).toEqual(['shutdown', 'kubelet', why, 'delay']);
    await eventually('the shutdown is heard of', async () => {
      await manager('PowerOff', 'b', 'false');
      return ended.length > 0;
    });
    expect(ended).toEqual(['web']);
    expect(shutdown.problems).toEqual(['node is shutting down']);
    expect(shutdown.refusal()?.reason).toBe('NodeShutdown');
    over.add('web');
    await eventually('the critical one is ended', () => ended.includes('dns'));
    expect(await locks()).toHaveLength(1);
    over.add('dns');
    await eventually('the lock is given back', async () => (await locks()).length === 0);
  });

  it('that is not shut down after all takes pods again, and would wait once more', async () => {
    await manager('CancelScheduledShutdown');
    await eventually('the lock is held again', async () => (await locks()).length === 1);
    expect(shutdown.problems).toEqual([]);
    expect(shutdown.refusal()).toBeUndefined();
  });
});

describe('slices of systemd', () => {
  const at = ['org.freedesktop.systemd1', '/org/freedesktop/systemd1', 'k8ts.Test', 'Units'];
  const units = async () => {
    const { stdout } = await run('busctl', ['--system', '--json=short', 'call', ...at]);
    return JSON.parse(JSON.parse(stdout).data[0]);
  };

  it('are made, changed when they are there, and ended', async () => {
    const slice = 'kubepods-burstable.slice';
    await systemSlices.start(slice, [
      ['DefaultDependencies', 'b', 'false'],
      ['CPUWeight', 't', 1],
    ]);
    await systemSlices.start(slice, [
      ['DefaultDependencies', 'b', 'false'],
      ['CPUWeight', 't', 39],
      ['MemoryMax', 't', 1_000_000],
    ]);
    expect(await units()).toEqual({
      [slice]: { DefaultDependencies: 0, CPUWeight: 39, MemoryMax: 1_000_000 },
    });
    await systemSlices.stop(slice);
    await systemSlices.stop(slice);
    expect(await units()).toEqual({});
  });
});
