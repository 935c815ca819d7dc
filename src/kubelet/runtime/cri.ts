import { createRpcClient, isRpcNotFound, type RpcClient } from '../../util/grpc.ts';
import { injectCdi } from './cdi.ts';
import type { ContainerStats, FilesystemUsage } from './container-stats.ts';
import { runtimeEvents } from './cri-events.ts';
import { imageViews } from './image-views.ts';
import type {
  Container,
  ContainerRuntime,
  ContainerStatus,
  ExecSyncResult,
  Image,
  LabelFilter,
  PodSandbox,
  PodSandboxStatus,
  RuntimeHandler,
  RuntimeStatus,
  RuntimeVersion,
} from './runtime.ts';

// runtimeRequestTimeout of the kubelet's configuration, unless it says otherwise.
const REQUEST_TIMEOUT_MS = 120_000;
const STATS_TIMEOUT_MS = 20_000;
const STOP_MARGIN_MS = 120_000;

interface Url {
  url: string;
}

/** Speaks CRI v1 to containerd or CRI-O at `endpoint` (`unix:///run/containerd/containerd.sock`). */
export function createCriRuntime(
  endpoint: string,
  requestTimeoutMs = REQUEST_TIMEOUT_MS,
): ContainerRuntime {
  const rpcTo = (service: string): RpcClient =>
    createRpcClient({ proto: 'cri.proto', service: `runtime.v1.${service}`, address: endpoint });
  const runtime = rpcTo('RuntimeService');
  const image = rpcTo('ImageService');
  const call = callerOf(runtime, requestTimeoutMs);
  const callImages = callerOf(image, requestTimeoutMs);
  const version = (signal?: AbortSignal): Promise<RuntimeVersion> =>
    call<RuntimeVersion>('Version', {}, signal);
  const views = imageViews(
    {
      version,
      imageInfo: (spec, signal) => verbose(callImages, 'ImageStatus', { image: spec }, signal),
      statusInfo: (signal) => verbose(call, 'Status', {}, signal),
    },
    endpoint,
  );
  return {
    ...sandboxCalls(call, requestTimeoutMs),
    ...containerCalls(call, version),
    ...streamCalls(call),
    ...imageCalls(callImages, image),
    viewImage: views.viewImage,
    removeImageView: views.removeImageView,
    version,
    status: (signal) => runtimeStatus(call, signal),
    updatePodCidr: async (podCidr, signal) => {
      const request = { runtimeConfig: { networkConfig: { podCidr } } };
      await call('UpdateRuntimeConfig', request, signal);
    },
    events: (signal) => runtimeEvents(runtime, endpoint, signal),
    close() {
      runtime.close();
      image.close();
      views.close();
    },
  };
}

type Call = <Response>(
  method: string,
  request: object,
  signal?: AbortSignal,
  timeoutMs?: number,
) => Promise<Response>;

function callerOf(rpc: RpcClient, usualMs: number): Call {
  return (method, request, signal, timeoutMs = usualMs) =>
    rpc.call(method, request, { timeoutMs }, signal);
}

/** Absence is an answer, not a failure. */
async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (err) {
    if (isRpcNotFound(err)) return undefined;
    throw err;
  }
}

/** What the runtime says beyond the CRI, each part in a text of JSON. */
async function verbose(
  call: Call,
  method: string,
  request: object,
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const answer = await call<{ info: Record<string, string> }>(
    method,
    { ...request, verbose: true },
    signal,
  );
  return answer.info;
}

async function runtimeStatus(call: Call, signal?: AbortSignal): Promise<RuntimeStatus> {
  const answer = await call<{
    status: { conditions: RuntimeStatus['conditions'] } | null;
    runtimeHandlers: RuntimeHandler[];
    features: { supplementalGroupsPolicy: boolean } | null;
  }>('Status', { verbose: false }, signal);
  return {
    conditions: answer.status?.conditions ?? [],
    handlers: answer.runtimeHandlers,
    ...(answer.features === null ? {} : { features: answer.features }),
  };
}

type SandboxCalls = Pick<
  ContainerRuntime,
  'runPodSandbox' | 'stopPodSandbox' | 'removePodSandbox' | 'podSandboxStatus' | 'listPodSandboxes'
>;

function sandboxCalls(call: Call, requestTimeoutMs: number): SandboxCalls {
  return {
    async runPodSandbox(config, runtimeHandler, signal) {
      const request = { config, runtimeHandler };
      const answer = await call<{ podSandboxId: string }>(
        'RunPodSandbox',
        request,
        signal,
        // A slow disk is no reason to do it twice.
        2 * requestTimeoutMs,
      );
      return answer.podSandboxId;
    },
    async stopPodSandbox(id, signal) {
      await orUndefined(call('StopPodSandbox', { podSandboxId: id }, signal));
    },
    async removePodSandbox(id, signal) {
      await orUndefined(call('RemovePodSandbox', { podSandboxId: id }, signal));
    },
    async podSandboxStatus(id, signal) {
      const request = { podSandboxId: id, verbose: false };
      const answer = call<{ status: PodSandboxStatus }>('PodSandboxStatus', request, signal);
      return (await orUndefined(answer))?.status;
    },
    async listPodSandboxes(labels, signal) {
      const request = filtered(labels);
      return (await call<{ items: PodSandbox[] }>('ListPodSandbox', request, signal)).items;
    },
  };
}

const filtered = (labelSelector: LabelFilter | undefined): object =>
  labelSelector === undefined ? {} : { filter: { labelSelector } };

/** containerd does since 1.7; every CRI-O of CRI v1. */
function knowsCdi({ runtimeName, runtimeVersion }: RuntimeVersion): boolean {
  const [major = 0, minor = 0] = runtimeVersion.replace(/^v/, '').split('.').map(Number.parseFloat);
  return runtimeName !== 'containerd' || major > 1 || minor >= 7;
}

type ContainerCalls = Pick<
  ContainerRuntime,
  | 'createContainer'
  | 'startContainer'
  | 'stopContainer'
  | 'removeContainer'
  | 'listContainers'
  | 'containerStatus'
  | 'updateContainerResources'
  | 'reopenContainerLog'
  | 'checkpointContainer'
  | 'containerStats'
  | 'listContainerStats'
>;

function containerCalls(
  call: Call,
  version: (signal?: AbortSignal) => Promise<RuntimeVersion>,
): ContainerCalls {
  return {
    async createContainer(podSandboxId, wanted, sandboxConfig, signal) {
      const ownWay = wanted.CDIDevices?.length && !knowsCdi(await version(signal));
      const config = ownWay ? await injectCdi(wanted) : wanted;
      const request = { podSandboxId, config, sandboxConfig };
      const answer = call<{ containerId: string }>('CreateContainer', request, signal);
      return (await answer).containerId;
    },
    async startContainer(containerId, signal) {
      await call('StartContainer', { containerId }, signal);
    },
    async stopContainer(containerId, timeout, signal) {
      const request = { containerId, timeout };
      const timeoutMs = timeout * 1000 + STOP_MARGIN_MS;
      await orUndefined(call('StopContainer', request, signal, timeoutMs));
    },
    async removeContainer(containerId, signal) {
      await orUndefined(call('RemoveContainer', { containerId }, signal));
    },
    async listContainers(labels, signal) {
      const answer = call<{ containers: Container[] }>('ListContainers', filtered(labels), signal);
      return (await answer).containers;
    },
    async containerStatus(containerId, signal) {
      const request = { containerId, verbose: false };
      const answer = call<{ status: ContainerStatus }>('ContainerStatus', request, signal);
      return (await orUndefined(answer))?.status;
    },
    async updateContainerResources(containerId, linux, signal) {
      await call('UpdateContainerResources', { containerId, linux }, signal);
    },
    async reopenContainerLog(containerId, signal) {
      await call('ReopenContainerLog', { containerId }, signal);
    },
    async checkpointContainer(containerId, location, signal) {
      await call('CheckpointContainer', { containerId, location }, signal);
    },
    async containerStats(containerId, signal) {
      const request = { containerId };
      const answer = call<{ stats: ContainerStats }>(
        'ContainerStats',
        request,
        signal,
        STATS_TIMEOUT_MS,
      );
      return (await orUndefined(answer))?.stats;
    },
    async listContainerStats(labels, signal) {
      const answer = call<{ stats: ContainerStats[] }>(
        'ListContainerStats',
        filtered(labels),
        signal,
        STATS_TIMEOUT_MS,
      );
      return (await answer).stats;
    },
  };
}

type StreamCalls = Pick<ContainerRuntime, 'execSync' | 'exec' | 'attach' | 'portForward'>;

function streamCalls(call: Call): StreamCalls {
  return {
    execSync(containerId, cmd, timeout, signal) {
      // The engine keeps the time itself; ours only guards against an engine that hangs.
      const timeoutMs = timeout > 0 ? timeout * 1000 + 5000 : undefined;
      return call<ExecSyncResult>('ExecSync', { containerId, cmd, timeout }, signal, timeoutMs);
    },
    exec: async (request, signal) => (await call<Url>('Exec', request, signal)).url,
    attach: async (request, signal) => (await call<Url>('Attach', request, signal)).url,
    async portForward(podSandboxId, port, signal) {
      return (await call<Url>('PortForward', { podSandboxId, port }, signal)).url;
    },
  };
}

type ImageCalls = Pick<
  ContainerRuntime,
  'listImages' | 'imageStatus' | 'pullImage' | 'removeImage' | 'imageFsInfo'
>;

function imageCalls(call: Call, rpc: RpcClient): ImageCalls {
  return {
    async listImages(signal) {
      return (await call<{ images: Image[] }>('ListImages', {}, signal)).images;
    },
    async imageStatus(image, signal) {
      const request = { image, verbose: false };
      const answer = await call<{ image: Image | null }>('ImageStatus', request, signal);
      return answer.image ?? undefined;
    },
    async pullImage(image, auth, sandboxConfig, signal) {
      // No deadline: a large image on a slow line takes what it takes; the engine gives up when nothing moves.
      const request = { image, auth, sandboxConfig };
      return (await rpc.call<{ imageRef: string }>('PullImage', request, {}, signal)).imageRef;
    },
    async removeImage(image, signal) {
      await call('RemoveImage', { image }, signal);
    },
    async imageFsInfo(signal) {
      const answer = call<{ imageFilesystems: FilesystemUsage[] }>('ImageFsInfo', {}, signal);
      return (await answer).imageFilesystems;
    },
  };
}
