import { join } from 'node:path';
import { createCluster } from '../test/support/cluster.ts';

/**
 * From the API server's answer to a change of a ConfigMap to the file in the Pods that show it, beside what a bare
 * watcher of the same object takes to hear of the change.
 */
const cluster = await createCluster();
try {
  await cluster.up();
  const { kubeconfig, kubelet } = cluster.paths;
  const script = join(import.meta.dirname, 'kubelet', 'propagation.ts');
  const args = [script, kubeconfig('admin'), join(kubelet, 'memory-volumes')];
  const options = { timeoutMs: 280_000 };
  const { stdout } = await cluster.network.run(process.execPath, args, options);
  process.stdout.write(stdout);
} finally {
  await cluster.remove();
}
