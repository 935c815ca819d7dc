import { existsSync } from 'node:fs';
import { createCriRuntime } from './runtime/cri.ts';
import { createDockerRuntime, type DockerOptions } from './runtime/docker/docker.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

const DOCKER_SOCKET = '/var/run/docker.sock';

/**
 * The runtime behind an endpoint; its scheme says which protocol it speaks. `docker://` is Docker's own API, everything
 * else CRI; a socket named docker.sock is Docker's too.
 */
export async function openRuntime(
  endpoint: string,
  { requestTimeoutMs, ...docker }: Omit<DockerOptions, 'socket'> & { requestTimeoutMs?: number },
  dockerSocket = DOCKER_SOCKET,
): Promise<ContainerRuntime> {
  const socket = socketOf(endpoint);
  if (isDocker(endpoint)) return createDockerRuntime({ ...docker, socket });
  // No CRI socket where one is expected, but Docker's: better an old engine than none.
  if (!existsSync(socket) && existsSync(dockerSocket)) {
    return createDockerRuntime({ ...docker, socket: dockerSocket });
  }
  return createCriRuntime(`unix://${socket}`, requestTimeoutMs);
}

const isDocker = (endpoint: string): boolean =>
  endpoint.startsWith('docker://') || /\/docker\.sock$/.test(endpoint);

function socketOf(endpoint: string): string {
  const found = /^(?:(?:unix|docker):\/\/)?(\/.*)$/.exec(endpoint)?.[1];
  if (found) return found;
  throw new Error(
    `protocol of ${JSON.stringify(endpoint)} is not supported; give a unix:///… or docker:///… socket`,
  );
}
