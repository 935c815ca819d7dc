import { Command } from 'commander';
import {
  cutNode,
  existingNodes,
  localNodeNamed,
  startNode,
  stopNode,
} from '../../cluster/local-nodes.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { supervisorOf } from '../../cluster/up.ts';
import { rootOption, selfCommand } from '../options.ts';

/** `k8ts node`: the extra nodes of this machine (`k8ts up --nodes 3`), to see what happens when one fails. */
export function command(): Command {
  const node = new Command().description(
    'The extra nodes of this machine, which k8ts up --nodes COUNT makes: switch one off, or pull its cable.',
  );
  node
    .command('list')
    .summary('show them')
    .addOption(rootOption())
    .action(({ root }: { root: string }) => {
      for (const { name, address, namespace, paths } of existingNodes(pathsUnder(root))) {
        const state = supervisorOf(paths) ? 'running' : 'stopped';
        process.stdout.write(
          `${name.padEnd(12)}${state.padEnd(10)}${address.padEnd(16)}${namespace}\n`,
        );
      }
    });
  const acts = {
    start: { summary: 'switch it on, and mend its cable', act: startNode },
    stop: { summary: 'switch it off: components and Pods end', act: stopNode },
    cut: { summary: 'pull its cable: it runs on, alone', act: cutNode },
  };
  for (const [name, { summary, act }] of Object.entries(acts)) {
    node
      .command(name)
      .summary(summary)
      .argument('<name>')
      .addOption(rootOption())
      .action((which: string, { root }: { root: string }) =>
        act(localNodeNamed(pathsUnder(root), which), selfCommand()),
      );
  }
  return node;
}
