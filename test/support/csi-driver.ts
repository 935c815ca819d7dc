import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { hostMounts } from '../../src/host/mounts.ts';
import { type RpcCall, rpcService, serveRpc } from './rpc-server.ts';

/** A CSI driver of this machine: a volume is a directory, staged and published by bind mounts. */
export interface CsiDriver {
  readonly name: string;
  readonly calls: RpcCall[];
  /** What the kubelet said about the registration. */
  readonly registered: Promise<{ pluginRegistered: boolean; error: string }>;
  /** Ends every call of the method with this error until it is taken away. */
  fail(method: string, error: Error | undefined): void;
  stop(): Promise<void>;
}

/** `kubeletRoot` is the kubelet's --root-dir; `storage` holds the volumes. */
export async function startCsiDriver(
  name: string,
  { kubeletRoot, storage }: { kubeletRoot: string; storage: string },
): Promise<CsiDriver> {
  const calls: RpcCall[] = [];
  const failures = new Map<string, Error>();
  const socket = join(storage, 'csi.sock');
  const registration = join(kubeletRoot, 'plugins_registry', `${name}-reg.sock`);
  mkdirSync(storage, { recursive: true });
  const directory = (id: string) => join(storage, 'volumes', id);
  const bind = async (source: string, target: string): Promise<void> => {
    mkdirSync(target, { recursive: true });
    if ((await hostMounts.list()).some((m) => m.path === target)) return;
    await hostMounts.mount({ source, target, options: ['bind'] });
  };
  const release = async (target: string): Promise<void> => {
    await hostMounts.unmount(target);
    rmSync(target, { recursive: true, force: true });
  };
  // A block device of which the kernel has no driver: it can be looked at, which is enough here.
  const publishDevice = async (id: string, target: string): Promise<void> => {
    const device = join(directory(id), 'device');
    if (!existsSync(device)) await run('mknod', [device, 'b', '7', '250']);
    writeFileSync(target, '', { flag: 'a' });
    if ((await hostMounts.list()).some((m) => m.path === target)) return;
    await hostMounts.mount({ source: device, target, options: ['bind'] });
  };
  const node = rpcService(
    'csi.proto',
    'csi.v1.Node',
    { calls, failures },
    {
      NodeGetInfo: () => ({ nodeId: `node-of-${name}`, maxVolumesPerNode: 5 }),
      NodeGetCapabilities: () => ({
        capabilities: ['STAGE_UNSTAGE_VOLUME', 'GET_VOLUME_STATS', 'EXPAND_VOLUME'].map((type) => ({
          rpc: { type },
        })),
      }),
      NodeExpandVolume: ({ capacityRange }) => ({ capacityBytes: capacityRange.requiredBytes }),
      NodeGetVolumeStats: () => ({
        usage: [
          { unit: 'BYTES', total: 1000, used: 400, available: 600 },
          { unit: 'INODES', total: 50, used: 20, available: 30 },
        ],
      }),
      async NodeStageVolume({ volumeId, stagingTargetPath }) {
        mkdirSync(directory(volumeId), { recursive: true });
        await bind(directory(volumeId), stagingTargetPath);
      },
      async NodePublishVolume({ volumeId, stagingTargetPath, targetPath, volumeCapability }) {
        mkdirSync(directory(volumeId), { recursive: true });
        if (volumeCapability.block) return publishDevice(volumeId, targetPath);
        await bind(stagingTargetPath || directory(volumeId), targetPath);
      },
      NodeUnpublishVolume: ({ targetPath }) => release(targetPath),
      NodeUnstageVolume: ({ stagingTargetPath }) => release(stagingTargetPath),
    },
  );
  const told = Promise.withResolvers<{ pluginRegistered: boolean; error: string }>();
  const registrar = rpcService(
    'plugin-registration.proto',
    'pluginregistration.Registration',
    { calls: [], failures },
    {
      GetInfo: () => ({ type: 'CSIPlugin', name, endpoint: socket, supportedVersions: ['1.0.0'] }),
      NotifyRegistrationStatus: (status) => told.resolve(status),
    },
  );
  const servers = [await serveRpc(socket, node), await serveRpc(registration, registrar)];
  return {
    name,
    calls,
    registered: told.promise,
    fail(method, error) {
      if (error) failures.set(method, error);
      else failures.delete(method);
    },
    async stop() {
      for (const server of servers) server.forceShutdown();
      rmSync(registration, { force: true });
      rmSync(storage, { recursive: true, force: true });
    },
  };
}
