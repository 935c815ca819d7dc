import { Command } from 'commander';
import { parseKey } from '../../api/resource-types.ts';
import { createClient, type RestClient } from '../../client/rest-client.ts';
import {
  type Connect,
  examine,
  examinePod,
  examineService,
  examineSubject,
  type Report,
} from '../../cluster/doctor.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { realClock } from '../../util/clock.ts';
import { rootOption } from '../options.ts';

interface Options {
  root: string;
  namespace: string;
  from?: string;
}

/** `k8ts doctor`: from a symptom to the component, the cause and the next command. */
export function command(): Command {
  const doctor = new Command()
    .description('Look at each component of this cluster. Exit code 1 when something is wrong.')
    .addOption(rootOption())
    .action(({ root }: Options) =>
      withClients(async (connect) => examine(pathsUnder(root), connect, realClock.now())),
    );
  const pod = subject('pod', examinePod).summary(
    'why a Pod is not there, does not run, or is not ready; also by the name of what makes it',
  );
  const service = subject('service', examineService)
    .summary('why a Service does not answer')
    .option('--from <pod>', 'the Pod that cannot connect to it: NAME, or NAMESPACE/NAME');
  return doctor.addCommand(pod).addCommand(service);
}

function subject(kind: string, look: Parameters<typeof examineSubject>[2]['look']): Command {
  return new Command(kind)
    .argument('<name>')
    .addOption(rootOption())
    .option('-n, --namespace <name>', 'where it is', 'default')
    .action((name: string, _: unknown, command: Command) => {
      // --root is an option of `doctor` too, which takes it wherever it stands.
      const { root, namespace, from } = command.optsWithGlobals<Options>();
      const source = from === undefined ? undefined : parseKey(from);
      const at = source && { ...source, namespace: source.namespace || namespace };
      const wanted = { look, subject: { namespace, name, from: at }, now: realClock.now() };
      return withClients((connect) => examineSubject(pathsUnder(root), connect, wanted));
    });
}

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
