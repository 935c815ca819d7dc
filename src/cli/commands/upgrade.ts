import { Command } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { detach } from '../../cluster/up.ts';
import { upgrade } from '../../cluster/upgrade.ts';
import { realClock } from '../../util/clock.ts';
import { createLogger } from '../../util/log.ts';
import { progressWriter, rootOption, selfCommand } from '../options.ts';

/** `k8ts upgrade`: after a new version was installed. */
export function command(): Command {
  return new Command()
    .description(
      'Replace what runs on this machine by the installed version: node by node, each drained first. On several control planes run it on one after the other, then on the workers.',
    )
    .addOption(rootOption())
    .option('--no-drain', 'leave Pods where they are; they go on meanwhile')
    .action(run);
}

async function run({ root, drain }: { root: string; drain: boolean }): Promise<void> {
  const deps = {
    clock: realClock,
    log: createLogger('upgrade', 2),
    self: selfCommand(),
    connect: (kubeconfig: string) => createClient(kubeconfig),
    journal: false,
    launch: detach,
    progress: progressWriter(),
  };
  await upgrade(pathsUnder(root), { drain }, deps);
  process.exit(0); // Do not wait for the supervisor that was started.
}
