import { join } from 'node:path';
import { createCluster } from '../test/support/cluster.ts';

/** What the kubelet costs on a node full of Pods at rest, beside a Node.js process that does nothing. */
const cluster = await createCluster();
try {
  await cluster.up();
  const script = join(import.meta.dirname, 'kubelet', 'full-node.ts');
  const args = [script, cluster.paths.kubeconfig('admin'), cluster.paths.root];
  const { stdout } = await cluster.network.run(process.execPath, args, { timeoutMs: 500_000 });
  process.stdout.write(stdout);
} finally {
  await cluster.remove();
}
