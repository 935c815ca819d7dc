import { Command } from 'commander';
import { down } from '../../cluster/down.ts';
import { existingNodes, removeLocalNodes, stopNode } from '../../cluster/local-nodes.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { purge } from '../../cluster/purge.ts';
import { run as runProgram } from '../../host/exec.ts';
import { realClock } from '../../util/clock.ts';
import { progressWriter, rootOption, selfCommand } from '../options.ts';

interface Options {
  root: string;
  keepPods?: boolean;
  purge?: boolean;
}

/** `k8ts down`: the opposite of `k8ts up`. */
export function command(): Command {
  return new Command()
    .description(
      'Stop the cluster of this machine. Its objects stay, and the next up runs them again.',
    )
    .addOption(rootOption())
    .option('--keep-pods', 'leave the containers running')
    .option('--purge', 'remove everything: objects, images, certificates, rules, files')
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (options.purge && options.keepPods)
    throw new Error('--purge removes Pods too: drop --keep-pods');
  const paths = pathsUnder(options.root);
  const progress = progressWriter();
  const self = selfCommand();
  for (const node of existingNodes(paths)) {
    await stopNode(node, self);
    progress(`Node ${node.name} is stopped`);
  }
  await down(paths, { keepPods: options.keepPods ?? false }, { clock: realClock, progress });
  if (!options.purge) return;
  await removeLocalNodes(paths, self);
  await runProgram(self.program, [...self.args, 'proxy', '--cleanup']);
  await purge(paths);
  progress('Files, mounts, cgroups, bridge and rules are removed');
}
