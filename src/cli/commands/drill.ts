import { Command } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { DRILLS, drill, renderDrill } from '../../cluster/drill.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { realClock } from '../../util/clock.ts';
import { shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';
import { progressWriter, rootOption } from '../options.ts';

/** `k8ts drill`: what survives when a component dies. */
export function command(): Command {
  return new Command()
    .description(
      `Kill the components of this running cluster one by one, each for some seconds, and show what goes on without them. Components: ${DRILLS.join(', ')}.`,
    )
    .argument('[components...]', 'which (default: all)')
    .addOption(rootOption())
    .action(run);
}

async function run(components: string[], { root }: { root: string }): Promise<void> {
  const unknown = components.find((name) => !DRILLS.includes(name));
  if (unknown !== undefined) {
    throw new Error(`There is no drill for ${unknown}; there are: ${DRILLS.join(', ')}`);
  }
  const paths = pathsUnder(root);
  const client = await createClient(paths.kubeconfig('admin'));
  try {
    const deps = { client, clock: realClock, progress: progressWriter() };
    const chosen = components.length > 0 ? components : DRILLS;
    const rows = await drill(paths, chosen, deps, shutdownSignal(createLogger('drill', 0)));
    process.stdout.write(`${renderDrill(rows)}\n`);
    if (rows.some(({ kept, failed }) => !kept || failed > 0)) process.exitCode = 1;
  } finally {
    client.close();
  }
}
