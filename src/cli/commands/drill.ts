import { Command } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { DRILLS, drill, isFine, renderDrill } from '../../cluster/drill.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { savedSettings } from '../../cluster/prepare.ts';
import { realClock } from '../../util/clock.ts';
import { shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';
import { progressWriter, rootOption, selfCommand } from '../options.ts';

/** `k8ts drill`: what goes on when a part is gone. */
export function command(): Command {
  return new Command()
    .description(
      `Take the parts of this running cluster away one by one, each for a while, and show what goes on without them. Parts: ${DRILLS.join(', ')}.`,
    )
    .argument('[parts...]', 'which (default: all that this cluster has)')
    .option('--for <seconds>', 'how long each is gone at least', Number, 3)
    .addOption(rootOption())
    .action(run);
}

async function run(
  parts: string[],
  { root, for: seconds }: { root: string; for: number },
): Promise<void> {
  if (!(seconds >= 0)) throw new Error('--for takes a number of seconds');
  const unknown = parts.find((name) => !DRILLS.includes(name));
  if (unknown !== undefined) {
    throw new Error(`There is no drill for ${unknown}; there are: ${DRILLS.join(', ')}`);
  }
  const paths = pathsUnder(root);
  const client = await createClient(paths.kubeconfig('admin'));
  try {
    const settings = savedSettings(paths);
    const goneMs = seconds * 1000;
    const place = { paths, settings, client, clock: realClock, self: selfCommand(), goneMs };
    const signal = shutdownSignal(createLogger('drill', 0));
    const rows = await drill(place, parts, progressWriter(), signal);
    process.stdout.write(`${renderDrill(rows)}\n`);
    if (!rows.every(isFine)) process.exitCode = 1;
  } finally {
    client.close();
  }
}
