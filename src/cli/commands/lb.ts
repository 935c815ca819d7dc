import { Command } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { apiServers } from '../../cluster/api-servers.ts';
import { haproxyConfig } from '../../cluster/load-balancer.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { rootOption } from '../options.ts';

interface Options {
  root: string;
  bind: string;
  servers?: string;
  caFile?: string;
}

/** `k8ts lb`: a balancer before the API servers. */
export function command(): Command {
  const lb = new Command().description(
    'A balancer before the API servers, for people and machines outside. Nodes have one of their own.',
  );
  lb.command('config')
    .summary('print a configuration of HAProxy')
    .addOption(rootOption())
    .option('--bind <host:port>', 'where it takes connections', '*:6443')
    .option('--servers <list>', 'the API servers, HOST:PORT,… (default: those of the cluster)')
    .option('--ca-file <file>', "the cluster's authority, to check servers by (default: not)")
    .action(config);
  return lb;
}

async function config({ root, bind, servers, caFile }: Options): Promise<void> {
  const list = servers?.split(',') ?? (await living(root));
  const bad = list.find((address) => !/^\S+:\d+$/.test(address));
  if (bad !== undefined) throw new Error(`--servers: ${bad} is not HOST:PORT`);
  process.stdout.write(haproxyConfig({ bind, servers: list, caFile }));
}

async function living(root: string): Promise<string[]> {
  const client = await createClient(pathsUnder(root).kubeconfig('admin'));
  try {
    return await apiServers(client);
  } finally {
    client.close();
  }
}
