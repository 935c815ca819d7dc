import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorMessage } from '../../util/errors.ts';
import { RpcError } from '../../util/grpc.ts';
import { serveRpc } from '../../util/grpc-server.ts';
import { aborted } from '../../util/lifecycle.ts';
import type { Logger } from '../../util/log.ts';
import type { DeviceManager } from './device-manager.ts';
import type { PluginOptions } from './device-plugin.ts';

const VERSION = 'v1beta1';

interface RegisterRequest {
  version: string;
  endpoint: string;
  resourceName: string;
  options: PluginOptions | null;
}

export interface DeviceRegistrationDeps {
  devices: DeviceManager;
  log: Logger;
  /** `device-plugins` below the root directory. */
  directory: string;
}

/**
 * Serves the socket on which device plugins register; works until aborted. Plugins notice by the socket's being made anew
 * that the kubelet was started again, and register once more.
 */
export async function serveDeviceRegistration(
  { devices, log, directory }: DeviceRegistrationDeps,
  signal: AbortSignal,
): Promise<void> {
  await removeSockets(directory);
  const server = await serveRpc({
    proto: 'device-plugin.proto',
    service: 'v1beta1.Registration',
    socket: join(directory, 'kubelet.sock'),
    methods: {
      async Register({ version, endpoint, resourceName, options }: RegisterRequest) {
        checkRegistration(version, resourceName);
        const socket = join(directory, basename(endpoint));
        devices
          .add(resourceName, socket, options ?? undefined, signal)
          .catch((err: unknown) =>
            log.warn({ resource: resourceName, err: errorMessage(err) }, 'Cannot use plugin'),
          );
        return {};
      },
    },
  });
  try {
    await aborted(signal);
  } finally {
    server.close();
    await devices.close();
  }
}

/** Throws with upstream's words for what is not accepted. */
export function checkRegistration(version: string, resource: string): void {
  if (version !== VERSION) {
    throw new RpcError(
      'Register',
      'UNKNOWN',
      `requested API version "${version}" is not supported by kubelet. Supported version is ["${VERSION}"]`,
    );
  }
  if (isExtendedResource(resource)) return;
  throw new RpcError('Register', 'UNKNOWN', `the ResourceName "${resource}" is invalid`);
}

/** `vendor.example/thing`; never a resource of Kubernetes' own, nor a quota of one. */
function isExtendedResource(name: string): boolean {
  const [domain = '', rest = '', ...more] = name.split('/');
  if (more.length > 0 || domain.startsWith('requests.')) return false;
  if (domain === 'kubernetes.io' || domain.endsWith('.kubernetes.io')) return false;
  const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
  return (
    new RegExp(`^${label}(\\.${label})*$`).test(domain) &&
    /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(rest)
  );
}

/** Sockets of plugins that registered with an earlier kubelet: they make new ones. */
async function removeSockets(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if ((await lstat(path)).isSocket()) await rm(path, { force: true });
  }
}
