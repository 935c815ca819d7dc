import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { LOG_PATH_LABEL } from './container-spec.ts';
import { LogConverter } from './log-converter.ts';

/** How long an ended container's status waits for its last lines. */
const DRAIN_MS = 2000;

/** The CRI logs of running containers. */
export class ContainerLogs {
  readonly #docker: Docker;
  readonly #converters = new Map<string, LogConverter>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** Follows a container's output, unless that is done already. */
  follow(id: string, path: string, tty: boolean): void {
    if (this.#converters.has(id) || path === '') return;
    const container = this.#docker.getContainer(id);
    const converter = new LogConverter(
      path,
      async (since) => {
        const options = { follow: true as const, stdout: true, stderr: true, timestamps: true };
        // Docker takes seconds with a fraction; lines of that very moment are left out by the converter.
        const from = since === undefined ? {} : { since: Math.floor(Date.parse(since) / 1000) };
        return (await container.logs({ ...options, ...from })) as unknown as Readable;
      },
      { tty },
    );
    this.#converters.set(id, converter);
    // A stream that breaks is taken up again with the next listing.
    const over = (): void => {
      if (this.#converters.get(id) === converter) this.#converters.delete(id);
    };
    converter.ended.then(over, over);
  }

  /** Takes up what a kubelet before this one has followed. */
  async followRunning(): Promise<void> {
    const running = await this.#docker.listContainers({ filters: { label: [LOG_PATH_LABEL] } });
    for (const { Id, Labels } of running) {
      if (this.#converters.has(Id)) continue;
      const { Config } = await this.#docker.getContainer(Id).inspect();
      this.follow(Id, Labels[LOG_PATH_LABEL] ?? '', Config.Tty);
    }
  }

  async reopen(id: string): Promise<void> {
    const converter = this.#converters.get(id);
    if (!converter) throw new Error(`container ${id} is not running`);
    await converter.reopen();
  }

  /** Resolves when everything that an ended container printed is in its file. */
  async drained(id: string): Promise<void> {
    const converter = this.#converters.get(id);
    if (!converter) return;
    const late = new Promise<void>((resolve) => setTimeout(resolve, DRAIN_MS).unref());
    await Promise.race([converter.ended.catch(() => {}), late]);
  }
}
