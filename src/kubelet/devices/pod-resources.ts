import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Pod } from '../../api/types.ts';
import { RpcError } from '../../util/grpc.ts';
import { serveRpc } from '../../util/grpc-server.ts';
import { aborted } from '../../util/lifecycle.ts';
import { containersOf, initContainersOf } from '../names.ts';
import type { DeviceManager } from './device-manager.ts';
import type { Device } from './device-plugin.ts';

export interface PodResourcesDeps {
  devices: DeviceManager;
  /** Path of `pod-resources/kubelet.sock`. */
  socket: string;
  cpus: number;
  /** Pods that run or are to run. */
  pods(): readonly Pod[];
}

/** Tells monitors which devices pods have (podresources v1); works until aborted. */
export async function servePodResources(
  { devices, socket, cpus, pods }: PodResourcesDeps,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dirname(socket), { recursive: true, mode: 0o750 });
  await rm(socket, { force: true });
  const server = await serveRpc({
    proto: 'pod-resources.proto',
    service: 'v1.PodResourcesLister',
    socket,
    methods: {
      List: async () => ({ podResources: pods().map((pod) => podResourcesOf(pod, devices)) }),
      async Get({ podName, podNamespace }: { podName: string; podNamespace: string }) {
        const pod = pods().find(
          ({ metadata: m }) => m.name === podName && m.namespace === podNamespace,
        );
        if (pod) return { podResources: podResourcesOf(pod, devices) };
        const message = `pod ${podName} in namespace ${podNamespace} not found`;
        throw new RpcError('Get', 'UNKNOWN', message);
      },
      GetAllocatableResources: async () => ({
        devices: [...devices.healthyDevices()].flatMap(([resourceName, list]) =>
          list.map((device) => told(resourceName, [device.ID], [device])),
        ),
        cpuIds: Array.from({ length: cpus }, (_, cpu) => cpu),
      }),
    },
  });
  try {
    await aborted(signal);
  } finally {
    server.close();
  }
}

function podResourcesOf(pod: Pod, devices: DeviceManager): object {
  const { name, namespace, uid } = pod.metadata;
  const grants = devices.grantsOf(uid);
  const containers = [...initContainersOf(pod), ...containersOf(pod)].map((container) => ({
    name: container.name,
    devices: grants
      .filter((grant) => grant.container === container.name)
      .map(({ resource, ids }) => {
        const known = ids.flatMap((id) => devices.deviceOf(resource, id) ?? []);
        return told(resource, ids, known);
      }),
  }));
  return { name, namespace, containers };
}

function told(resourceName: string, deviceIds: readonly string[], known: readonly Device[]) {
  const nodes = known.flatMap(({ topology }) => topology?.nodes ?? []);
  return { resourceName, deviceIds, ...(nodes.length > 0 ? { topology: { nodes } } : {}) };
}
