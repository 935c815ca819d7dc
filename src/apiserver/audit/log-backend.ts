import { createWriteStream, existsSync, type WriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import type { AuditEvent } from './record.ts';

/** --audit-log-path and what goes with it. */
export interface AuditLogOptions {
  /** `-`: standard output. */
  readonly path: string;
  /** Days that old files are kept; 0: for ever. */
  readonly maxAgeDays?: number;
  /** Old files that are kept; 0: all. */
  readonly maxBackups?: number;
  /** Megabytes after which a new file is begun. */
  readonly maxSizeMb?: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_SIZE_MB = 100;

/** Events as lines of JSON in a file, which is put aside when it is full. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #deps: { clock: Clock; log: Logger };
  #stream: WriteStream | undefined;
  #size = 0;
  #rotating: Promise<void> | undefined;

  constructor(options: AuditLogOptions, deps: { clock: Clock; log: Logger }) {
    this.#options = options;
    this.#deps = deps;
  }

  async open(): Promise<void> {
    const { path } = this.#options;
    if (path === '-') return;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    this.#size = existsSync(path) ? (await stat(path)).size : 0;
    this.#stream = this.#begin();
  }

  write(event: AuditEvent): void {
    const line = `${JSON.stringify(event)}\n`;
    if (this.#options.path === '-') {
      process.stdout.write(line);
      return;
    }
    this.#stream?.write(line);
    this.#size += Buffer.byteLength(line);
    const limit = (this.#options.maxSizeMb || DEFAULT_SIZE_MB) * 1024 * 1024;
    if (this.#size >= limit) this.#rotate();
  }

  async close(): Promise<void> {
    await this.#rotating;
    const stream = this.#stream;
    if (stream) await new Promise<void>((resolve) => stream.end(resolve));
  }

  #begin(): WriteStream {
    const stream = createWriteStream(this.#options.path, { flags: 'a', mode: 0o600 });
    stream.on('error', (err) => {
      this.#deps.log.error({ err: errorMessage(err) }, 'Could not write the audit log');
    });
    return stream;
  }

  #rotate(): void {
    this.#rotating ??= this.#putAside()
      .catch((err) => {
        this.#deps.log.error({ err: errorMessage(err) }, 'Could not put the audit log aside');
      })
      .finally(() => {
        this.#rotating = undefined;
      });
  }

  /** The stream goes on with the file under its new name until the next one is open. */
  async #putAside(): Promise<void> {
    const { path } = this.#options;
    const stamp = new Date(this.#deps.clock.now()).toISOString().replaceAll(':', '-').slice(0, 23);
    await rename(path, join(dirname(path), `${stemOf(path)}-${stamp}${extname(path)}`));
    const old = this.#stream;
    this.#stream = this.#begin();
    this.#size = 0;
    old?.end();
    await this.#prune();
  }

  async #prune(): Promise<void> {
    const { path, maxAgeDays = 0, maxBackups = 0 } = this.#options;
    const directory = dirname(path);
    const prefix = `${stemOf(path)}-`;
    const names = (await readdir(directory))
      .filter((name) => name.startsWith(prefix) && name.endsWith(extname(path)))
      .sort()
      .reverse();
    const oldest = this.#deps.clock.now() - maxAgeDays * DAY_MS;
    for (const [i, name] of names.entries()) {
      const file = join(directory, name);
      const tooMany = maxBackups > 0 && i >= maxBackups;
      const tooOld = maxAgeDays > 0 && (await stat(file)).mtimeMs < oldest;
      if (tooMany || tooOld) await rm(file, { force: true });
    }
  }
}

function stemOf(path: string): string {
  return basename(path, extname(path));
}
