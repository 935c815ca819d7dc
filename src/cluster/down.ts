import { existsSync, readFileSync, rmSync } from 'node:fs';
import { signalProcess } from '../host/processes.ts';
import type { Clock } from '../util/clock.ts';
import type { Paths } from './paths.ts';
import { obstacleToPods, stopPods, stopShims } from './pod-processes.ts';
import { adopt, findLeftBehind, forget, stop, untilGone } from './supervised-process.ts';
import { statusFile } from './supervisor.ts';
import { stopUnit } from './unit.ts';
import { supervisorFile, supervisorOf } from './up.ts';

// In this order: the kubelet goes before the Pods, or it would start them again; containerd sees them end.
const BEFORE_PODS = ['kubelet', 'proxy', 'controller-manager', 'scheduler', 'apiserver'];
const AFTER_PODS = ['balancer', 'etcd', 'containerd'];
const COMPONENT_GRACE_MS = 15_000;
const POD_GRACE_MS = 5_000;

/** Stops the processes of the cluster and, unless they are to be kept, its Pods. State stays on disk. */
export async function down(
  paths: Paths,
  options: { keepPods: boolean },
  deps: { clock: Clock; progress: (line: string) => void },
): Promise<void> {
  if (!options.keepPods) assertPodsAreSeen(paths);
  const supervisor = supervisorOf(paths);
  if (supervisor) {
    // Killed, not asked: asked it would stop containerd before the Pods. Its children do not mind.
    signalProcess(supervisor.pid, 'SIGKILL');
    await stopUnit(paths); // systemd would start it again.
    await untilGone(supervisor, deps.clock);
  }
  await stopComponents(paths, BEFORE_PODS, deps.clock);
  deps.progress('The components are stopped');
  if (!options.keepPods) {
    const count = await stopPods(paths, POD_GRACE_MS, deps.clock);
    deps.progress(`The Pods are stopped (${count} processes)`);
  }
  await stopComponents(paths, AFTER_PODS, deps.clock);
  if (!options.keepPods) {
    await stopShims(paths, deps.clock);
    // What containerd was about to start when the others ended.
    await stopPods(paths, 0, deps.clock);
  }
  for (const file of [statusFile(paths.run), supervisorFile(paths)]) rmSync(file, { force: true });
}

/** Throws where Pods may run that would be left behind. */
function assertPodsAreSeen({ containerd }: Paths): void {
  if (!existsSync(containerd.state)) return;
  const obstacle = obstacleToPods(readFileSync('/proc/self/mounts', 'utf8'));
  if (obstacle !== undefined) throw new Error(obstacle);
}

async function stopComponents(paths: Paths, names: readonly string[], clock: Clock): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      const found = findLeftBehind(name, paths.run);
      if (found) await stop(adopt(found.identity, clock), COMPONENT_GRACE_MS, clock);
      forget(name, paths.run);
    }),
  );
}
