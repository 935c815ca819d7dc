import { Command } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { followApiServers } from '../../cluster/api-servers.ts';
import { Balancer } from '../../cluster/balancer.ts';
import { readIfExists, writeWhole } from '../../cluster/files.ts';
import { realClock } from '../../util/clock.ts';
import { runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';

interface Options {
  listen: string;
  servers: string;
  kubeconfig: string;
  stateFile: string;
  v: number;
}

/** `k8ts balancer`: a node's way to all API servers. */
export function command(): Command {
  return new Command()
    .description("Hands a node's connections to those API servers that are ready")
    .requiredOption('--listen <host:port>', 'where connections are taken')
    .requiredOption('--servers <list>', 'API servers to begin with: HOST:PORT,…')
    .requiredOption('--kubeconfig <file>', 'as whom to ask the cluster for the others')
    .requiredOption('--state-file <file>', 'remembers them for the next start')
    .option('-v <level>', 'verbosity of the log', Number, 2)
    .action(run);
}

async function run({ listen, servers, kubeconfig, stateFile, v }: Options): Promise<void> {
  const log = createLogger('balancer', v);
  const signal = shutdownSignal(log);
  const first = servers.split(',');
  const known = JSON.parse(readIfExists(stateFile) ?? '[]') as string[];
  const deps = { clock: realClock, log };
  const balancer = new Balancer(deps, known.length > 0 ? known : first);
  const client = await createClient(kubeconfig);
  const changed = (addresses: string[]) => {
    // The servers vanish from the list when none of them can be reached: whoever was there last may come back.
    if (addresses.length === 0) return;
    balancer.useServers(addresses);
    writeWhole(stateFile, JSON.stringify(balancer.everyServer));
  };
  const { hostname, port } = new URL(`tcp://${listen}`);
  const onListening = () => log.info({ listen, servers: balancer.servers }, 'Balancing');
  try {
    await runAll(signal, [
      balancer.run({ host: hostname, port: Number(port) }, signal, onListening),
      followApiServers(client, changed, deps, signal),
    ]);
  } finally {
    client.close();
  }
}
