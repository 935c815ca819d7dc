import { Command } from 'commander';
import { membershipOf } from '../../cluster/membership.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { run as runProgram } from '../../host/exec.ts';
import { rootOption, selfCommand } from '../options.ts';

/** `k8ts leave`: the opposite of `k8ts join`. */
export function command(): Command {
  return new Command()
    .description('Stop this node and remove everything of it; its cluster goes on without it.')
    .addOption(rootOption())
    .action(run);
}

async function run({ root }: { root: string }): Promise<void> {
  const membership = membershipOf(pathsUnder(root));
  if (!membership) throw new Error('This machine has joined no cluster; k8ts down stops its own');
  const { program, args } = selfCommand();
  const { stdout } = await runProgram(program, [...args, 'down', '--purge', '--root', root], {
    timeoutMs: 120_000,
  });
  process.stdout.write(stdout);
  // A node may not delete its own object (Node authorizer), so a person does.
  const { nodeName } = membership.settings;
  process.stdout.write(`Now, where the cluster is administered: kubectl delete node ${nodeName}\n`);
}
