import { Command } from 'commander';
import { createClient, type RestClient } from '../../client/rest-client.ts';
import { examine, examinePod, examineService, type Report } from '../../cluster/doctor.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { realClock } from '../../util/clock.ts';
import { rootOption } from '../options.ts';

interface Options {
  root: string;
  namespace: string;
}

/** `k8ts doctor`: from a symptom to the component, the cause and the next command. */
export function command(): Command {
  const doctor = new Command()
    .description('Look at each component of this cluster. Exit code 1 when something is wrong.')
    .addOption(rootOption())
    .action(({ root }: Options) =>
      withClients(async (connect) => examine(pathsUnder(root), connect, realClock.now())),
    );
  const subjects = {
    pod: { summary: 'why a Pod does not run, or is not ready', look: examinePod },
    service: { summary: 'why a Service does not answer', look: examineService },
  };
  for (const [name, { summary, look }] of Object.entries(subjects)) {
    doctor
      .command(name)
      .summary(summary)
      .argument('<name>')
      .addOption(rootOption())
      .option('-n, --namespace <name>', 'where it is', 'default')
      .action((which: string, _: unknown, command: Command) => {
        // --root is an option of `doctor` too, which takes it wherever it stands.
        const { root, namespace } = command.optsWithGlobals<Options>();
        return withClients(async (connect) =>
          look(await connect(pathsUnder(root).kubeconfig('admin')), { namespace, name: which }),
        );
      });
  }
  return doctor;
}

type Connect = (kubeconfig: string) => Promise<RestClient>;

/** Prints a report, and closes what was opened for it. */
async function withClients(act: (connect: Connect) => Promise<Report>): Promise<void> {
  const open: RestClient[] = [];
  try {
    const { text, ok } = await act(async (kubeconfig) => {
      const client = await createClient(kubeconfig);
      open.push(client);
      return client;
    });
    process.stdout.write(`${text}\n`);
    if (!ok) process.exitCode = 1;
  } finally {
    for (const client of open) client.close();
  }
}
