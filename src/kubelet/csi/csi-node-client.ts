import { createRpcClient } from '../../util/grpc.ts';

/** What a volume is to be used for, in CSI's words. */
export interface VolumeCapability {
  mount?: { fsType: string; mountFlags: readonly string[]; volumeMountGroup: string };
  block?: object;
  accessMode: { mode: AccessMode };
}

export type AccessMode =
  | 'UNKNOWN'
  | 'SINGLE_NODE_WRITER'
  | 'SINGLE_NODE_SINGLE_WRITER'
  | 'SINGLE_NODE_MULTI_WRITER'
  | 'MULTI_NODE_READER_ONLY'
  | 'MULTI_NODE_MULTI_WRITER';

type Strings = Readonly<Record<string, string>>;

export interface StageRequest {
  volumeId: string;
  publishContext: Strings;
  stagingTargetPath: string;
  volumeCapability: VolumeCapability;
  secrets: Strings;
  volumeContext: Strings;
}

export interface PublishRequest extends StageRequest {
  targetPath: string;
  readonly: boolean;
}

export interface NodeInfo {
  nodeId: string;
  /** 0: no limit is told. */
  maxVolumesPerNode: number;
  topology: Strings;
}

export interface ExpandRequest {
  volumeId: string;
  volumePath: string;
  stagingTargetPath: string;
  volumeCapability: VolumeCapability;
  capacityRange: { requiredBytes: number };
  secrets: Strings;
}

export interface VolumeUsage {
  readonly unit: 'UNKNOWN' | 'BYTES' | 'INODES';
  readonly available: number;
  readonly total: number;
  readonly used: number;
}

/** The Node service of one CSI driver on this machine. */
export interface CsiNodeClient {
  info(signal?: AbortSignal): Promise<NodeInfo>;
  /** Names such as `STAGE_UNSTAGE_VOLUME`. */
  capabilities(signal?: AbortSignal): Promise<ReadonlySet<string>>;
  stage(request: StageRequest, signal?: AbortSignal): Promise<void>;
  publish(request: PublishRequest, signal?: AbortSignal): Promise<void>;
  unpublish(volumeId: string, targetPath: string, signal?: AbortSignal): Promise<void>;
  unstage(volumeId: string, stagingTargetPath: string, signal?: AbortSignal): Promise<void>;
  /** Makes what is in the volume as large as the volume has become. */
  expand(request: ExpandRequest, signal?: AbortSignal): Promise<void>;
  /** How full the volume is, in bytes and perhaps in inodes. */
  stats(
    volumeId: string,
    volumePath: string,
    signal?: AbortSignal,
  ): Promise<readonly VolumeUsage[]>;
  close(): void;
}

// Upstream's csiTimeout.
const TIMEOUT_MS = 120_000;

/** Connects to the driver's socket, given as a path. */
export function connectCsiNode(socket: string): CsiNodeClient {
  const rpc = createRpcClient({
    proto: 'csi.proto',
    service: 'csi.v1.Node',
    address: `unix://${socket}`,
  });
  const call = <T>(method: string, request: object, signal?: AbortSignal): Promise<T> =>
    rpc.call<T>(method, request, { timeoutMs: TIMEOUT_MS }, signal);
  return {
    async info(signal) {
      const answer = await call<{
        nodeId: string;
        maxVolumesPerNode: number;
        accessibleTopology: { segments: Strings } | null;
      }>('NodeGetInfo', {}, signal);
      const { nodeId, maxVolumesPerNode, accessibleTopology } = answer;
      return { nodeId, maxVolumesPerNode, topology: accessibleTopology?.segments ?? {} };
    },
    async capabilities(signal) {
      const answer = await call<{ capabilities: { rpc: { type: string } | null }[] }>(
        'NodeGetCapabilities',
        {},
        signal,
      );
      return new Set(answer.capabilities.map((c) => c.rpc?.type ?? 'UNKNOWN'));
    },
    stage: (request, signal) => call('NodeStageVolume', request, signal),
    publish: (request, signal) => call('NodePublishVolume', request, signal),
    unpublish: (volumeId, targetPath, signal) =>
      call('NodeUnpublishVolume', { volumeId, targetPath }, signal),
    unstage: (volumeId, stagingTargetPath, signal) =>
      call('NodeUnstageVolume', { volumeId, stagingTargetPath }, signal),
    expand: (request, signal) => call('NodeExpandVolume', request, signal),
    async stats(volumeId, volumePath, signal) {
      const request = { volumeId, volumePath };
      return (await call<{ usage: VolumeUsage[] }>('NodeGetVolumeStats', request, signal)).usage;
    },
    close: () => rpc.close(),
  };
}
