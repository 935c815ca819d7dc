import { createRpcClient } from '../../util/grpc.ts';

/** One device as its plugin tells it. */
export interface Device {
  readonly ID: string;
  readonly health: string;
  readonly topology: { nodes: { ID: number }[] } | null;
}

export interface PluginOptions {
  readonly preStartRequired: boolean;
  readonly getPreferredAllocationAvailable: boolean;
}

/** What a container needs to use the devices that it got. */
export interface AllocateAnswer {
  readonly envs: Readonly<Record<string, string>>;
  readonly mounts: readonly { containerPath: string; hostPath: string; readOnly: boolean }[];
  readonly devices: readonly { containerPath: string; hostPath: string; permissions: string }[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly cdiDevices: readonly { name: string }[];
}

export interface PreferredRequest {
  readonly available: readonly string[];
  readonly mustInclude: readonly string[];
  readonly count: number;
}

/** A device plugin's own service. https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/ */
export interface DevicePlugin {
  options(signal?: AbortSignal): Promise<PluginOptions>;
  /** All devices, each time one of them changes; ends when the plugin does. */
  watch(signal: AbortSignal): AsyncIterable<readonly Device[]>;
  preferred(request: PreferredRequest, signal?: AbortSignal): Promise<readonly string[]>;
  allocate(ids: readonly string[], signal?: AbortSignal): Promise<AllocateAnswer>;
  preStart(ids: readonly string[], signal?: AbortSignal): Promise<void>;
  close(): void;
}

const TIMEOUT = { timeoutMs: 10_000 };
const ALLOCATE_TIMEOUT = { timeoutMs: 60_000 };
// Upstream's KeepAlive for PreStartContainer.
const PRE_START_TIMEOUT = { timeoutMs: 30_000 };

/** Connects to the plugin's socket, given as a path. */
export function connectDevicePlugin(socket: string): DevicePlugin {
  const rpc = createRpcClient({
    proto: 'device-plugin.proto',
    service: 'v1beta1.DevicePlugin',
    address: `unix://${socket}`,
  });
  return {
    options: (signal) => rpc.call<PluginOptions>('GetDevicePluginOptions', {}, TIMEOUT, signal),
    async *watch(signal) {
      for await (const { devices } of rpc.stream<{ devices: Device[] }>('ListAndWatch', {}, signal))
        yield devices;
    },
    async preferred({ available, mustInclude, count }, signal) {
      const one = {
        availableDeviceIDs: available,
        mustIncludeDeviceIDs: mustInclude,
        allocationSize: count,
      };
      const answer = await rpc.call<{ containerResponses: { deviceIDs: string[] }[] }>(
        'GetPreferredAllocation',
        { containerRequests: [one] },
        TIMEOUT,
        signal,
      );
      return answer.containerResponses[0]?.deviceIDs ?? [];
    },
    async allocate(devicesIds, signal) {
      const answer = await rpc.call<{ containerResponses: AllocateAnswer[] }>(
        'Allocate',
        { containerRequests: [{ devicesIds }] },
        ALLOCATE_TIMEOUT,
        signal,
      );
      const [first] = answer.containerResponses;
      if (!first) throw new Error('no containers return in allocation response');
      return first;
    },
    async preStart(devicesIds, signal) {
      await rpc.call('PreStartContainer', { devicesIds }, PRE_START_TIMEOUT, signal);
    },
    close: () => rpc.close(),
  };
}
