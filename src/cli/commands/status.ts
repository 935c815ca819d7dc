import { Command } from 'commander';
import { readIfExists } from '../../cluster/files.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { type ProcessStatus, statusFile } from '../../cluster/supervisor.ts';
import { supervisorOf } from '../../cluster/up.ts';
import { identifyProcess } from '../../host/processes.ts';
import { rootOption } from '../options.ts';
import { formatTable } from '../table.ts';

/** `k8ts status`: the processes of this machine's cluster. Exit code 1 when one of them does not run. */
export function command(): Command {
  return new Command()
    .description('Show the processes of this cluster, and where their logs are.')
    .addOption(rootOption())
    .action(run);
}

function run({ root }: { root: string }): void {
  const paths = pathsUnder(root);
  const supervisor = supervisorOf(paths);
  const text = readIfExists(statusFile(paths.run));
  if (!supervisor && text === undefined)
    throw new Error('The cluster is not running; see: k8ts up');
  const processes = text === undefined ? [] : (JSON.parse(text) as ProcessStatus[]);
  const rows = processes.map((process) => row(process));
  const head = ['NAME', 'STATUS', 'PID', 'RESTARTS', 'SINCE', 'LOG'];
  process.stdout.write(`${formatTable([head, ...rows])}\n`);
  if (!supervisor)
    process.stdout.write('The supervisor is not running; k8ts up takes charge again\n');
  if (!supervisor || rows.some(([, state]) => state !== 'running')) process.exitCode = 1;
}

function row({ name, pid, restarts, since, lastEnd, log }: ProcessStatus): string[] {
  const runs = pid !== undefined && identifyProcess(pid) !== undefined;
  const state = runs ? 'running' : `ended (${lastEnd ?? 'unknown'})`;
  return [name, state, runs ? String(pid) : '-', String(restarts), since, log];
}
