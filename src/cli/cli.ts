import { Command } from 'commander';
import { errorMessage } from '../util/errors.ts';
import { sourceStack } from '../util/source-stack.ts';

/** Sub-command → its file. A command's code is loaded only when it is asked for: a component must start fast. */
const COMMANDS: Record<
  string,
  { summary: string; load: () => Promise<{ command: () => Command }> }
> = {
  up: { summary: 'Start a cluster on this machine', load: () => import('./commands/up.ts') },
  down: { summary: 'Stop the cluster of this machine', load: () => import('./commands/down.ts') },
  token: { summary: 'Let other machines in', load: () => import('./commands/token.ts') },
  join: {
    summary: "Make this machine a node of another's cluster",
    load: () => import('./commands/join.ts'),
  },
  node: {
    summary: 'Switch extra nodes of this machine off and on',
    load: () => import('./commands/node.ts'),
  },
  upgrade: {
    summary: 'Replace what runs by the installed version',
    load: () => import('./commands/upgrade.ts'),
  },
  reset: {
    summary: 'Remove everything of a cluster from this machine',
    load: () => import('./commands/reset.ts'),
  },
  leave: { summary: 'Take this machine out again', load: () => import('./commands/leave.ts') },
  lb: {
    summary: 'Configure a balancer before its API servers',
    load: () => import('./commands/lb.ts'),
  },
  drill: {
    summary: 'Kill its components, and see what survives',
    load: () => import('./commands/drill.ts'),
  },
  doctor: {
    summary: 'Find what is wrong, and what to do about it',
    load: () => import('./commands/doctor.ts'),
  },
  status: { summary: 'Show its processes', load: () => import('./commands/status.ts') },
  kubeconfig: {
    summary: 'Add the cluster to your kubeconfig, or take it out',
    load: () => import('./commands/kubeconfig.ts'),
  },
  images: {
    summary: 'Look at and fill its image store',
    load: () => import('./commands/images.ts'),
  },
  explain: {
    summary: 'Show why the scheduler put a Pod where it is',
    load: () => import('./commands/explain.ts'),
  },

  certs: {
    summary: 'Look at, renew and replace the certificates of the cluster',
    load: () => import('./commands/certs.ts'),
  },
  'secrets-encrypt': {
    summary: 'Look at and change the keys that Secrets are encrypted with',
    load: () => import('./commands/secrets-encrypt.ts'),
  },
  audit: {
    summary: 'Compare the running cluster with the CIS Kubernetes Benchmark',
    load: () => import('./commands/audit.ts'),
  },
  snapshot: {
    summary: 'Back up and restore the state of a cluster',
    load: () => import('./commands/snapshot.ts'),
  },
  store: {
    summary: 'Look at, defragment and move the store',
    load: () => import('./commands/store.ts'),
  },
  apiserver: {
    summary: 'Serve the API: the front door of the cluster',
    load: () => import('./commands/apiserver.ts'),
  },
  'controller-manager': {
    summary: 'Bring the state of the cluster to what its objects ask for',
    load: () => import('./commands/controller-manager.ts'),
  },
  scheduler: {
    summary: 'Decide which node each Pod runs on',
    load: () => import('./commands/scheduler.ts'),
  },
  kubelet: {
    summary: 'Run the Pods of this node',
    load: () => import('./commands/kubelet.ts'),
  },
  dns: {
    summary: 'Answer the names of Services and Pods',
    load: () => import('./commands/dns.ts'),
  },
  'metrics-server': {
    summary: 'Tell what nodes and Pods use',
    load: () => import('./commands/metrics-server.ts'),
  },
  balancer: {
    summary: 'Reach all API servers from this node',
    load: () => import('./commands/balancer.ts'),
  },
  proxy: {
    summary: 'Route the traffic of Services on this node',
    load: () => import('./commands/proxy.ts'),
  },
};

/**
 * What somebody keeps running and starts again when it ends: a component that has failed must not linger, with questions of
 * its that nobody answers, and look as if it were at work.
 */
const COMPONENTS = [
  ...['apiserver', 'controller-manager', 'scheduler', 'kubelet', 'proxy', 'balancer'],
  ...['dns', 'metrics-server'],
];

const wordIn = (argv: readonly string[]) => argv.find((word) => !word.startsWith('-')) ?? '';

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('k8ts').description('Kubernetes in TypeScript').showHelpAfterError();
  const wanted = wordIn(argv);
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (name === wanted) program.addCommand((await load()).command().name(name).summary(summary));
    else program.addCommand(new Command(name).summary(summary));
  }
  process.title = ['k8ts', ...argv].join(' ');
  await program.parseAsync(argv, { from: 'user' });
}

process.on('uncaughtException', (err: unknown) => {
  const text = err instanceof Error ? (err.stack ?? err.message) : String(err);
  process.stderr.write(`k8ts: ${sourceStack(text)}\n`);
  process.exit(1);
});

// Whoever reads what is printed may have read enough: `k8ts images list | head -1`.
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err;
  process.exit();
});

try {
  await main(process.argv.slice(2));
} catch (err) {
  process.stderr.write(`k8ts: ${errorMessage(err)}\n`);
  if (COMPONENTS.includes(wordIn(process.argv.slice(2)))) process.exit(1);
  process.exitCode = 1;
}
