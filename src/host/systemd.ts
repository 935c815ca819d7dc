import { existsSync, fstatSync } from 'node:fs';
import { run } from './exec.ts';

const STDOUT = 1;

/** Whether systemd runs this machine (sd_booted(3)). */
export function isSystemdMachine(): boolean {
  return existsSync('/run/systemd/system');
}

/** Whether this process's output goes to the journal: systemd tells which file that is, and a program may have changed it since. */
export function writesToJournal(stream = process.env.JOURNAL_STREAM): boolean {
  const { dev, ino } = fstatSync(STDOUT);
  return stream === `${dev}:${ino}`;
}

export async function systemctl(...words: string[]): Promise<void> {
  await run('systemctl', words, { timeoutMs: 120_000 });
}

/** The last lines that a unit has written. */
export async function lastOfJournal(unit: string, count: number): Promise<string> {
  const words = ['--unit', unit, '--lines', String(count), '--output', 'cat', '--no-pager'];
  return (await run('journalctl', words)).stdout.trimEnd();
}
