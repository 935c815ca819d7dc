import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { outsideServer } from '../../cluster/components.ts';
import {
  CONTEXT,
  type Invoker,
  installUserKubeconfig,
  removeUserKubeconfig,
} from '../../cluster/kubeconfig.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { savedSettings } from '../../cluster/prepare.ts';
import { rootOption } from '../options.ts';

/** `k8ts kubeconfig`: the cluster in the kubeconfig of the person who works with it. */
export function command(): Command {
  const kubeconfig = new Command().description(
    `Add the context ${CONTEXT} to your kubeconfig, or take it out. Other entries stay.`,
  );
  kubeconfig
    .command('merge')
    .summary(`add the context ${CONTEXT}`)
    .addOption(rootOption())
    .action(async ({ root }: { root: string }) => {
      const paths = pathsUnder(root);
      const { port, endpoint } = savedSettings(paths);
      const server = endpoint === '' ? undefined : outsideServer({ port, endpoint });
      const file = await installUserKubeconfig(paths, invoker(root), server);
      process.stdout.write(`The context ${CONTEXT} is in ${file}\n`);
    });
  kubeconfig
    .command('remove')
    .summary(`take the context ${CONTEXT} out`)
    .addOption(rootOption())
    .action(async ({ root }: { root: string }) => {
      const file = await removeUserKubeconfig(invoker(root));
      if (file) process.stdout.write(`The context ${CONTEXT} is no longer in ${file}\n`);
    });
  return kubeconfig;
}

/** The person behind sudo, or root; with another root their home is in there. */
function invoker(root: string): Invoker {
  const uid = Number(process.env.SUDO_UID ?? 0);
  const gid = Number(process.env.SUDO_GID ?? 0);
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => Number(fields[2]) === uid);
  return { uid, gid, home: join(root, entry?.[5] ?? '/root') };
}
