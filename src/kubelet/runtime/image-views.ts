import { createRpcClient, isRpcNotFound, type RpcClient, RpcError } from '../../util/grpc.ts';
import type { ImageMount, ImageSpec, RuntimeVersion } from './runtime.ts';

/** The calls of the CRI that are needed here, with what they tell when they are asked to be verbose. */
export interface VerboseCri {
  version(signal?: AbortSignal): Promise<RuntimeVersion>;
  imageInfo(image: ImageSpec, signal?: AbortSignal): Promise<Record<string, string>>;
  statusInfo(signal?: AbortSignal): Promise<Record<string, string>>;
}

/** How a runtime shows the files of an image. See `ContainerRuntime`. */
export interface ImageViews {
  viewImage(
    image: ImageSpec,
    key: string,
    signal?: AbortSignal,
  ): Promise<readonly ImageMount[] | undefined>;
  removeImageView(key: string, signal?: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * Image volumes by the CRI where the runtime has them: containerd since 2.1, CRI-O since 1.31. An older containerd is
 * asked for a view of the image's snapshot, which is then mounted like any other directory.
 */
export function imageViews(cri: VerboseCri, endpoint: string): ImageViews {
  const snapshots = createRpcClient({
    proto: 'containerd-snapshots.proto',
    service: 'containerd.services.snapshots.v1.Snapshots',
    address: endpoint,
    metadata: { 'containerd-namespace': 'k8s.io' },
  });
  let kind: Promise<'cri' | 'containerd'> | undefined;
  let snapshotter: Promise<string> | undefined;
  const kindOf = (signal?: AbortSignal): Promise<'cri' | 'containerd'> => {
    kind ??= cri.version(signal).then(whoMounts);
    kind.catch(() => {
      kind = undefined;
    });
    return kind;
  };
  const snapshotterOf = (signal?: AbortSignal): Promise<string> => {
    snapshotter ??= cri.statusInfo(signal).then(snapshotterIn);
    snapshotter.catch(() => {
      snapshotter = undefined;
    });
    return snapshotter;
  };
  return {
    async viewImage(image, key, signal) {
      if ((await kindOf(signal)) === 'cri') return undefined;
      const parent = chainOf(await cri.imageInfo(image, signal));
      const snapshotter = await snapshotterOf(signal);
      return view(snapshots, { snapshotter, key, parent }, signal);
    },
    async removeImageView(key, signal) {
      if ((await kindOf(signal)) === 'cri') return;
      const request = { snapshotter: await snapshotterOf(signal), key };
      try {
        await snapshots.call('Remove', request, TIMEOUT, signal);
      } catch (err) {
        if (!isRpcNotFound(err)) throw err;
      }
    },
    close: () => snapshots.close(),
  };
}

const TIMEOUT = { timeoutMs: 30_000 };

interface Mounts {
  mounts: ImageMount[];
}

async function view(
  rpc: RpcClient,
  { snapshotter, key, parent }: { snapshotter: string; key: string; parent: string },
  signal?: AbortSignal,
): Promise<readonly ImageMount[]> {
  // Or containerd would collect it with what no container uses.
  const labels = { 'containerd.io/gc.root': new Date().toISOString() };
  try {
    const request = { snapshotter, key, parent, labels };
    return (await rpc.call<Mounts>('View', request, TIMEOUT, signal)).mounts;
  } catch (err) {
    if (!(err instanceof RpcError && err.code === 'ALREADY_EXISTS')) throw err;
    return (await rpc.call<Mounts>('Mounts', { snapshotter, key }, TIMEOUT, signal)).mounts;
  }
}

/** Throws for a runtime that has no image volumes at all. */
export function whoMounts({ runtimeName, runtimeVersion }: RuntimeVersion): 'cri' | 'containerd' {
  const [major = 0, minor = 0] = runtimeVersion.replace(/^v/, '').split('.').map(Number.parseFloat);
  const since = (m: number, n: number): boolean => major > m || (major === m && minor >= n);
  if (runtimeName === 'containerd') return since(2, 1) ? 'cri' : 'containerd';
  if (runtimeName === 'cri-o' && since(1, 31)) return 'cri';
  throw new Error(`image volumes are not supported by ${runtimeName} ${runtimeVersion}`);
}

/** What the layers of an image are when they lie on one another. */
function chainOf(info: Record<string, string>): string {
  const { chainID } = JSON.parse(info.info ?? '{}') as { chainID?: string };
  if (!chainID) throw new Error('the runtime does not tell which snapshot the image is');
  return chainID;
}

function snapshotterIn(info: Record<string, string>): string {
  const config = JSON.parse(info.config ?? '{}') as { containerd?: { snapshotter?: string } };
  return config.containerd?.snapshotter ?? 'overlayfs';
}
