import { Command } from 'commander';
import { membershipOf } from '../../cluster/membership.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { rootOption } from '../options.ts';
import { runReset } from './reset.ts';

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
  await runReset(root);
}
