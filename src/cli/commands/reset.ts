import { Command } from 'commander';
import { reset } from '../../cluster/leave.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { run as runProgram } from '../../host/exec.ts';
import { progressWriter, rootOption, selfCommand } from '../options.ts';

/** `k8ts reset`: a machine as if there had never been a cluster on it. */
export function command(): Command {
  return new Command()
    .description(
      'Remove everything of a cluster from this machine, whatever state it is in. A control plane of several is taken out of the others first.',
    )
    .addOption(rootOption())
    .action(({ root }: { root: string }) => runReset(root));
}

export async function runReset(root: string): Promise<void> {
  const progress = progressWriter();
  const { program, args } = selfCommand();
  await reset(pathsUnder(root), {
    progress,
    purge: async () => {
      const words = [...args, 'down', '--purge', '--root', root];
      const { stdout } = await runProgram(program, words, { timeoutMs: 180_000 });
      process.stdout.write(stdout);
    },
  });
}
