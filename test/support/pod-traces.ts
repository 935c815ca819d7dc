import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createCgroups } from '../../src/host/cgroups.ts';
import { hostMounts } from '../../src/host/mounts.ts';
import type { Cluster } from './cluster.ts';

/** Pods (by uid) of which the node has a trace although the API has them no more, each with the trace. */
export async function tracesOfGonePods(cluster: Cluster): Promise<string[]> {
  const { items } = await cluster.get('pods', '--all-namespaces');
  const alive: string[] = items.map(
    (p: { metadata: { uid: string; annotations?: Record<string, string> } }) =>
      // A static Pod's own uid is in its mirror's annotation.
      p.metadata.annotations?.['kubernetes.io/config.hash'] ?? p.metadata.uid,
  );
  const { kubelet, podLogs, cgroupRoot } = cluster.paths;
  const cgroups = createCgroups();
  const top = `${cgroupRoot === '/' ? '' : cgroupRoot}/kubepods`;
  const groups = await Promise.all(
    [top, `${top}/burstable`, `${top}/besteffort`].map((name) => cgroups.children(name)),
  );
  const mounts = (await hostMounts.list()).map((m) => m.path);
  const containers = await containersOfOthers(cluster, alive);
  const traces = [
    ...namesIn(join(kubelet, 'pods')).map((name) => `directory ${name}`),
    ...namesIn(join(kubelet, 'memory-volumes')).map((name) => `memory volume ${name}`),
    ...namesIn(podLogs).map((name) => `logs ${name}`),
    ...groups.flat().flatMap((name) => (name.startsWith('pod') ? [`group ${name}`] : [])),
    ...mounts.filter((path) => path.startsWith(join(kubelet, 'pods/'))).map((p) => `mount ${p}`),
  ];
  return [
    ...traces.filter((trace) => !alive.some((uid) => trace.includes(uid))),
    ...containers.map((id) => `container ${id}`),
  ];
}

const namesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []);

/** Ids of the containers that containerd has of other Pods; asked with one command, however many there are. */
async function containersOfOthers(cluster: Cluster, alive: readonly string[]): Promise<string[]> {
  const { socket } = cluster.paths.containerd;
  const others = alive.map((uid) => `labels."io.kubernetes.pod.uid"!="${uid}"`).join(',');
  const args = ['--address', socket, '--namespace', 'k8s.io', 'containers', 'list', '--quiet'];
  const { stdout } = await cluster.network.run('ctr', others === '' ? args : [...args, others]);
  return stdout.split('\n').filter((id) => id !== '');
}
