import { createHash } from 'node:crypto';
import { arch } from 'node:os';
import { type TarEntry, tar } from './tar.ts';

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
 * An image of one layer as an OCI image layout in a tar archive, which `ctr images import` reads.
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export function imageArchive(
  name: string,
  files: readonly TarEntry[],
  config: ImageConfig,
): Buffer {
  const blobs: TarEntry[] = [];
  const add = (mediaType: string, content: Uint8Array): Descriptor => {
    const digest = sha256(content);
    blobs.push({ path: `blobs/sha256/${digest}`, mode: 0o644, content });
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  };
  const layer = add(`${MEDIA}.layer.v1.tar`, tar(files));
  const configuration = add(
    `${MEDIA}.config.v1+json`,
    json({
      architecture: ARCHITECTURES[arch()] ?? arch(),
      os: 'linux',
      config,
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
  );
  const manifest = add(
    `${MEDIA}.manifest.v1+json`,
    json({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: configuration,
      layers: [layer],
    }),
  );
  const index = {
    schemaVersion: 2,
    manifests: [{ ...manifest, annotations: { 'io.containerd.image.name': name } }],
  };
  return tar([
    { path: 'oci-layout', mode: 0o644, content: json({ imageLayoutVersion: '1.0.0' }) },
    ...blobs,
    { path: 'index.json', mode: 0o644, content: json(index) },
  ]);
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
