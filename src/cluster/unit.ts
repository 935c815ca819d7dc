import { existsSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { signalProcess } from '../host/processes.ts';
import { isSystemdMachine, lastOfJournal, systemctl } from '../host/systemd.ts';
import type { Clock } from '../util/clock.ts';
import { writeWhole } from './files.ts';
import type { Paths } from './paths.ts';
import { untilGone } from './supervised-process.ts';
import { type Launch, READY_TIMEOUT_MS, supervisorOf } from './up.ts';

/** The supervisor as a service of systemd: it starts with the machine, and its log is the journal. */
const UNIT = 'k8ts.service';
const FILE = `/etc/systemd/system/${UNIT}`;
const TEMPLATE = fileURLToPath(new URL(`../../deploy/systemd/${UNIT}`, import.meta.url));
const LAUNCHER = fileURLToPath(new URL('../../bin/k8ts', import.meta.url));
const LAST_LINES = 5;

/** Throws where a cluster of this root cannot be a service. */
export function assertUnitFits({ root }: Paths): void {
  if (!isSystemdMachine()) {
    throw new Error('--systemd needs a machine that systemd runs; k8ts up --detach does without');
  }
  if (root !== '/')
    throw new Error('--systemd is for the cluster of the machine itself: drop --root');
}

/** Whether this root's cluster has been made a service. */
export function isUnit({ root }: Paths): boolean {
  return root === '/' && existsSync(FILE);
}

/** Whether systemd runs the process, and starts it again when it ends. */
export function runsInUnit(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${UNIT}`);
}

/** A supervisor that somebody else started makes way for the service, which adopts what it kept running. */
export async function handOver(paths: Paths, clock: Clock): Promise<void> {
  const supervisor = supervisorOf(paths);
  if (!supervisor || runsInUnit(supervisor.pid)) return;
  signalProcess(supervisor.pid, 'SIGKILL');
  await untilGone(supervisor, clock);
}

/** Starts `k8ts up` as a service, now and with the machine. Resolves when `ready` does. */
export const startUnit: Launch = async (_paths, options, _self, ready) => {
  writeWhole(FILE, unitText(readFileSync(TEMPLATE, 'utf8'), LAUNCHER, options));
  await systemctl('daemon-reload');
  await systemctl('enable', '--quiet', UNIT);
  await systemctl('restart', UNIT);
  try {
    await ready(AbortSignal.timeout(READY_TIMEOUT_MS));
  } catch (cause) {
    const log = await lastOfJournal(UNIT, LAST_LINES);
    throw new Error(`The cluster is not ready in time; see: journalctl -u k8ts\n${log}`, { cause });
  }
};

/** What systemd reads. Pure. */
export function unitText(template: string, program: string, options: readonly string[]): string {
  const values: Record<string, string> = {
    K8TS: unitWord(program),
    OPTIONS: options.map(unitWord).join(' '),
  };
  return template.replace(/@([A-Z0-9]+)@/g, (whole, name: string) => values[name] ?? whole);
}

/** A word of a command line: systemd expands `%` and `$`, and takes words apart at spaces (systemd.service(5)). */
function unitWord(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w./:=,%$@+-]+$/.test(plain) ? plain : JSON.stringify(plain);
}

/** Stops the service where there is one; it starts with the machine all the same. */
export async function stopUnit(paths: Paths): Promise<void> {
  const isItself = runsInUnit(process.pid); // Called by the service as the machine ends: it is stopping already.
  if (isUnit(paths) && !isItself) await systemctl('stop', UNIT);
}

/** The machine as it was without the service. */
export async function removeUnit(paths: Paths): Promise<void> {
  if (!isUnit(paths)) return;
  await systemctl('disable', '--quiet', UNIT);
  rmSync(FILE, { force: true });
  await systemctl('daemon-reload');
}
