import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Floor {
  readonly port: number;
  stop(): void;
}

/** A bare HTTPS server of `bytes`, in a process of its own as ours is. */
export async function startFloor(
  tls: { certificate: string; key: string },
  bytes: number,
): Promise<Floor> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-floor-'));
  const cert = join(directory, 'cert');
  const key = join(directory, 'key');
  writeFileSync(cert, tls.certificate);
  writeFileSync(key, tls.key, { mode: 0o600 });
  const child = fork(join(import.meta.dirname, 'floor.ts'), [cert, key, String(bytes)]);
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    stop() {
      child.kill();
      rmSync(directory, { recursive: true });
    },
  };
}
