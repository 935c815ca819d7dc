import { spawn } from 'node:child_process';
import { createCluster, NODE_NAME } from '../test/support/cluster.ts';
import { eventually } from '../test/support/eventually.ts';
import { list, service, webDeployment } from '../test/support/manifests.ts';

/**
 * From nothing running to a Service that answers, beside its floor: the same work by containerd's own client, which is
 * containerd's start and one container's.
 */
const cluster = await createCluster();
try {
  await cluster.up(); // Imports the images and fills the compile cache; what is measured starts from there.
  const floor = await rawContainer();
  await cluster.k8ts('down');
  const begin = performance.now();
  const since = () => (performance.now() - begin) / 1000;
  await cluster.k8ts('up', '--detach', '--node-name', NODE_NAME);
  const ready = since();
  await cluster.apply(list(webDeployment('first', 1), service('first')));
  const { spec } = await cluster.get('service', 'first');
  await eventually(
    'the Service answers',
    () => cluster.fetch(`http://${spec.clusterIP}/`, 1),
    60_000,
  );
  const serving = since();
  console.log(`node Ready         ${ready.toFixed(2)} s   (at most 5 s)`);
  console.log(`first Pod serving  ${serving.toFixed(2)} s   (at most 8 s)`);
  console.log(
    `floor              ${floor.toFixed(2)} s   (ctr run of one container); ratio ${(serving / floor).toFixed(1)}`,
  );
} finally {
  await cluster.remove();
}

/** Seconds that one container takes without Kubernetes. */
async function rawContainer(): Promise<number> {
  const args = [
    '--address',
    cluster.paths.containerd.socket,
    '--namespace',
    'bench',
    'run',
    '--rm',
  ];
  const image = 'localhost/k8ts/busybox:1';
  const bundle = `${cluster.paths.state}/images/busybox.tar`;
  await cluster.network.run('ctr', [...args.slice(0, 4), 'images', 'import', bundle]);
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    const child = spawn('ctr', [...args, image, 'floor', 'true'], { stdio: 'inherit' });
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`ctr run: ${code}`))));
  });
  return (performance.now() - started) / 1000;
}
