import { Option } from 'commander';
import type { SelfCommand } from '../cluster/components.ts';
import { confinement } from '../host/confinement.ts';

/** Moves every directory of k8ts; tests and extra clusters on one machine use it. */
export function rootOption(): Option {
  return new Option(
    '--root <dir>',
    'directory that stands in for /, for every path of k8ts',
  ).default('/');
}

/** How this process was run, to run other commands of k8ts the same way. */
export function selfCommand(): SelfCommand {
  const [, script = ''] = process.argv;
  return {
    program: process.execPath,
    args: [...process.execArgv, script],
    confinement: confinement(),
  };
}

/** Writes lines for the operator, each with the seconds since `begin` (milliseconds of the monotonic clock). */
export function progressWriter(begin = performance.now()): (line: string) => void {
  return (line) => {
    const seconds = ((performance.now() - begin) / 1000).toFixed(1).padStart(6);
    process.stdout.write(`${seconds}s  ${line}\n`);
  };
}
