import { EventEmitter, once } from 'node:events';
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createRpcClient } from '../../src/util/grpc.ts';
import { eventually } from './eventually.ts';
import { type RpcCall, rpcService, serveRpc } from './rpc-server.ts';

/** A device plugin of this machine, which registers by itself with every kubelet that comes. */
export interface TestDevicePlugin {
  readonly calls: RpcCall[];
  /** Health by device. */
  set(devices: Readonly<Record<string, 'Healthy' | 'Unhealthy'>>): void;
  /** Registers with the kubelet that serves now, and resolves when that has been told of the devices. */
  register(): Promise<void>;
  stop(): void;
}

interface PluginSpec {
  resource: string;
  kubeletRoot: string;
  /** A file of the host that containers get as /opt/vendor. */
  file: string;
}

export async function startDevicePlugin(spec: PluginSpec): Promise<TestDevicePlugin> {
  const { resource, kubeletRoot, file } = spec;
  const directory = join(kubeletRoot, 'device-plugins');
  const calls: RpcCall[] = [];
  const changed = new EventEmitter();
  let devices: Readonly<Record<string, string>> = {};
  const plugin = rpcService(
    'device-plugin.proto',
    'v1beta1.DevicePlugin',
    { calls, failures: new Map() },
    {
      GetDevicePluginOptions: () => OPTIONS,
      async *ListAndWatch() {
        changed.emit('asked');
        for (;;) {
          const list = Object.entries(devices).map(([ID, health]) => ({ ID, health }));
          yield { devices: list };
          await once(changed, 'changed');
        }
      },
      // The last ones first, so that it can be told from any other choice.
      GetPreferredAllocation: ({ containerRequests: [one] }) => ({
        containerResponses: [
          { deviceIDs: one.availableDeviceIDs.toSorted().reverse().slice(0, one.allocationSize) },
        ],
      }),
      Allocate: ({ containerRequests: [{ devicesIds }] }) => ({
        containerResponses: [
          {
            envs: { VENDOR_DEVICES: devicesIds.join(','), OVERRIDDEN: 'by the plugin' },
            mounts: [{ containerPath: '/opt/vendor', hostPath: file, readOnly: true }],
            devices: [{ containerPath: '/dev/thing', hostPath: '/dev/zero', permissions: 'rw' }],
            annotations: { 'vendor.test/used': 'yes' },
          },
        ],
      }),
      PreStartContainer: () => ({}),
    },
  );
  let servers = 0;
  let stop: () => void = () => {};
  return {
    calls,
    set(next) {
      devices = next;
      changed.emit('changed');
    },
    async register() {
      stop();
      const endpoint = `thing-${++servers}.sock`;
      await eventually('the kubelet takes plugins', () =>
        existsSync(join(directory, 'kubelet.sock')),
      );
      const server = await serveRpc(join(directory, endpoint), plugin);
      stop = () => {
        server.forceShutdown();
        rmSync(join(directory, endpoint), { force: true });
      };
      const rpc = createRpcClient({
        proto: 'device-plugin.proto',
        service: 'v1beta1.Registration',
        address: `unix://${directory}/kubelet.sock`,
      });
      const request = { version: 'v1beta1', endpoint, resourceName: resource, options: OPTIONS };
      const asked = once(changed, 'asked');
      await eventually('it is registered', () => rpc.call('Register', request));
      await asked;
      rpc.close();
    },
    stop: () => stop(),
  };
}

const OPTIONS = { preStartRequired: true, getPreferredAllocationAvailable: true };

/** Tells one kubelet.sock from the next. */
export function socketIdentity(kubeletRoot: string): string {
  const { ino, birthtimeMs } = statSync(join(kubeletRoot, 'device-plugins', 'kubelet.sock'));
  return `${ino}/${birthtimeMs}`;
}
