import { join } from 'node:path';
import { createCluster } from '../test/support/cluster.ts';

/**
 * From the death of a container's process to its restarted container running, beside what the runtime alone takes to
 * make and start one container.
 */
const cluster = await createCluster();
try {
  await cluster.up();
  const { kubeconfig, containerd } = cluster.paths;
  const script = join(import.meta.dirname, 'kubelet', 'restarts.ts');
  const args = [script, kubeconfig('admin'), containerd.socket];
  const options = { timeoutMs: 280_000 };
  const { stdout } = await cluster.network.run(process.execPath, args, options);
  process.stdout.write(stdout);
} finally {
  await cluster.remove();
}
