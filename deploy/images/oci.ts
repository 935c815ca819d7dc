import { createHash } from 'node:crypto';
import { arch } from 'node:os';
import { sizeOf, type TarEntry, tar } from './tar.ts';

/** How a container of an image runs, unless its Pod says otherwise (OCI image configuration, `config`). */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

const MEDIA = 'application/vnd.oci.image';
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };

/**
 * An image, the lowest layer first, as an OCI image layout in a tar archive, which `ctr images import` reads; with the list
 * by which older versions of `docker load` find the same files. In pieces.
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export function imageArchive(
  name: string,
  layers: readonly (readonly TarEntry[])[],
  config: ImageConfig,
): Uint8Array[] {
  const blobs: TarEntry[] = [];
  const add = (mediaType: string, content: readonly Uint8Array[]): Descriptor => {
    const digest = sha256(content);
    blobs.push({ path: `blobs/sha256/${digest}`, mode: 0o644, content });
    return { mediaType, digest: `sha256:${digest}`, size: sizeOf(content) };
  };
  const contents = layers.map((files) => add(`${MEDIA}.layer.v1.tar`, tar(files)));
  const configuration = add(
    `${MEDIA}.config.v1+json`,
    json({
      architecture: ARCHITECTURES[arch()] ?? arch(),
      os: 'linux',
      config,
      rootfs: { type: 'layers', diff_ids: contents.map(({ digest }) => digest) },
    }),
  );
  const manifest = add(
    `${MEDIA}.manifest.v1+json`,
    json({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: configuration,
      layers: contents,
    }),
  );
  const index = {
    schemaVersion: 2,
    manifests: [{ ...manifest, annotations: { 'io.containerd.image.name': name } }],
  };
  const fileOf = ({ digest }: Descriptor): string => `blobs/${digest.replace(':', '/')}`;
  const docker = { Config: fileOf(configuration), RepoTags: [name], Layers: contents.map(fileOf) };
  return tar([
    { path: 'oci-layout', mode: 0o644, content: json({ imageLayoutVersion: '1.0.0' }) },
    ...blobs,
    { path: 'index.json', mode: 0o644, content: json(index) },
    { path: 'manifest.json', mode: 0o644, content: json([docker]) },
  ]);
}

function sha256(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

function json(value: unknown): Uint8Array[] {
  return [Buffer.from(JSON.stringify(value))];
}
