import { Command } from 'commander';
import { isNotFound } from '../../api/errors.ts';
import { type ClusterAccess, loadKubeconfig } from '../../client/kubeconfig.ts';
import { RestClient } from '../../client/rest-client.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import type { DecisionReport } from '../../scheduler/decisions.ts';
import { formatDecision } from '../../scheduler/format-decision.ts';
import { rootOption } from '../options.ts';

interface Flags {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly root: string;
  readonly scheduler: string;
  readonly output: string;
  readonly nodes: string;
}

/** `k8ts explain pod NAME`: why the scheduler put a Pod where it is, or nowhere. */
export function command(): Command {
  return new Command()
    .description('Show for each node which plugin refused a Pod, or its score per plugin.')
    .argument('<kind>', 'pod')
    .argument('<name>', 'name of the Pod')
    .option('-n, --namespace <namespace>', 'namespace of the Pod')
    .option('--kubeconfig <file>', "who asks (default: the cluster's administrator)")
    .addOption(rootOption())
    .option('--scheduler <url>', 'secure port of the scheduler', 'https://127.0.0.1:10259')
    .option('--nodes <count>', 'how many nodes to show', '20')
    .option('-o, --output <format>', 'text or json', 'text')
    .action(run);
}

async function run(kind: string, name: string, flags: Flags): Promise<void> {
  if (!['pod', 'pods', 'po'].includes(kind)) {
    throw new Error(`Only Pods can be explained, not ${kind}`);
  }
  const file =
    flags.kubeconfig ?? process.env.KUBECONFIG ?? pathsUnder(flags.root).kubeconfig('admin');
  const access = await loadKubeconfig(file);
  const namespace = flags.namespace ?? access.namespace ?? 'default';
  const report = await ask(towards(flags.scheduler, access), namespace, name);
  const text =
    flags.output === 'json'
      ? `${JSON.stringify(report, undefined, 2)}\n`
      : formatDecision(report, Number(flags.nodes));
  process.stdout.write(text);
}

/**
 * The same identity towards the scheduler. Without a certificate of the cluster it has made one of its own, which
 * nobody can verify: that is accepted on this machine only. The client certificate gives no secret away.
 */
function towards(scheduler: string, access: ClusterAccess): ClusterAccess {
  const { hostname } = new URL(scheduler);
  const local = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  const { tlsServerName: _, token: __, ...rest } = access;
  return {
    ...rest,
    server: scheduler.replace(/\/+$/, ''),
    ...(local ? { insecureSkipTlsVerify: true } : {}),
  };
}

async function ask(access: ClusterAccess, namespace: string, pod: string): Promise<DecisionReport> {
  const client = new RestClient(access);
  try {
    const query = new URLSearchParams({ namespace, pod });
    return (await client.raw('GET', `/debug/decisions?${query}`)) as DecisionReport;
  } catch (err) {
    if (!isNotFound(err)) throw err;
    const message = `The scheduler remembers no decision about pod ${namespace}/${pod}`;
    throw new Error(message);
  } finally {
    client.close();
  }
}
