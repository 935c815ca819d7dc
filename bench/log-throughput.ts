import { join } from 'node:path';
import { createCluster, kubectlProgram } from '../test/support/cluster.ts';
import { eventually } from '../test/support/eventually.ts';
import { podOf, shell } from '../test/support/pods.ts';

/**
 * How fast `kubectl logs` gives out a log of 100 MB: container's file → kubelet → API server → kubectl, two TLS
 * connections. Its floor is a program that reads the same file and takes off what the runtime put before each line.
 */
const MEGABYTES = 100;
const RUNS = 3;
const LINE =
  'a line of a log as programs write them, of about a hundred characters, as they often are in practice';

const cluster = await createCluster();
try {
  await cluster.up();
  const script = `yes '${LINE}' | head -c ${MEGABYTES}000000; sleep 3600`;
  await cluster.apply(podOf('talker', [shell('main', script)]));
  const size = () => pipe(`$KUBECTL logs talker | wc -c`);
  await eventually('all is written', async () => (await size()).output >= MEGABYTES * 1e6, 120_000);
  const path = join(cluster.paths.podLogs, 'default_talker_*', 'main', '*');
  const ours = await best(size);
  const floor = await best(() => pipe(`cat ${path} | cut -d ' ' -f 4- | wc -c`));
  console.log(`kubectl logs  ${ours.toFixed(0).padStart(5)} MB/s   (at least 50)`);
  console.log(`floor         ${floor.toFixed(0).padStart(5)} MB/s   (cat and cut)`);
  console.log(`ratio         ${(ours / floor).toFixed(2).padStart(5)}`);
} finally {
  await cluster.remove();
}

/** MB/s of the fastest of some runs. */
async function best(work: () => Promise<{ ms: number; output: number }>): Promise<number> {
  let fastest = 0;
  for (let i = 0; i < RUNS; i++) {
    const { ms, output } = await work();
    fastest = Math.max(fastest, output / 1000 / ms);
  }
  return fastest;
}

async function pipe(line: string): Promise<{ ms: number; output: number }> {
  const env = { KUBECONFIG: cluster.paths.kubeconfig('admin'), KUBECTL: kubectlProgram() };
  const begin = performance.now();
  const { stdout } = await cluster.network.run('sh', ['-c', line], { env });
  return { ms: performance.now() - begin, output: Number(stdout) };
}
