import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pod } from '../api/types.ts';
import { errnoOf, errorMessage } from '../util/errors.ts';

/** Where things of a pod lie on the node. */
export interface PodDirs {
  pod(uid: string): string;
  container(uid: string, name: string): string;
  messageFile(uid: string, name: string, attempt: number): string;
  hostsFile(uid: string): string;
  podLogs(pod: { metadata: { namespace: string; name: string; uid: string } }): string;
  /** The machine's log directory. */
  readonly systemLogs: string;
  readonly allPodLogs: string;
  containerLogLink(pod: Pod, container: string, id: string): string;
  readonly containerLogLinks: string;
}

// A file name holds 255 bytes; the suffix with the container id must stay whole.
const MAX_NAME = 251;

export function podDirs(rootDir: string, podLogsDir: string): PodDirs {
  const pod = (uid: string): string => join(rootDir, 'pods', uid);
  const container = (uid: string, name: string): string => join(pod(uid), 'containers', name);
  const allPodLogs = podLogsDir;
  const systemLogs = dirname(podLogsDir);
  const containerLogLinks = join(systemLogs, 'containers');
  return {
    pod,
    container,
    messageFile: (uid, name, attempt) => join(container(uid, name), `termination-log.${attempt}`),
    hostsFile: (uid) => join(pod(uid), 'etc-hosts'),
    systemLogs,
    allPodLogs,
    podLogs: ({ metadata: { namespace, name, uid } }) =>
      join(allPodLogs, `${namespace}_${name}_${uid}`),
    containerLogLinks,
    containerLogLink(of, name, id) {
      const suffix = `_${of.metadata.namespace}_${name}-${id}`;
      const stem = of.metadata.name.slice(0, Math.max(0, MAX_NAME - suffix.length));
      return join(containerLogLinks, `${stem}${suffix}.log`);
    },
  };
}

/** The node has no place for what a pod needs besides its volumes. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/** The pod's own directory and that of its logs. Throws `DirectoryError`. */
export function makePodDirectories(dirs: PodDirs, pod: Pod): void {
  try {
    makeDirectory(dirs.pod(pod.metadata.uid), 0o750);
    makeDirectory(dirs.podLogs(pod), 0o755);
  } catch (err) {
    throw new DirectoryError(errorMessage(err));
  }
}

/** Not recursive where that is not needed: Node.js calls a file system that can only be read ENOENT then. */
function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (err) {
    const code = errnoOf(err);
    if (code === 'ENOENT') mkdirSync(path, { recursive: true, mode });
    else if (code !== 'EEXIST') throw err;
  }
}
