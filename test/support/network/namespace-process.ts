import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

interface Reply {
  id?: number;
  result?: unknown;
  error?: string;
  ready?: boolean;
}

// Bundled for a virtual machine the programs are JavaScript.
const EXTENSION = extname(fileURLToPath(import.meta.url));

/** A program of this folder, named without its ending, in a network namespace; asked by lines of JSON. */
export class NamespaceProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<
    number,
    { resolve: (v: unknown) => void; reject: (e: Error) => void }
  >();
  readonly #exited: Promise<void>;
  #ready: () => void = () => {};
  #stderr = '';
  #lastId = 0;

  constructor(namespace: string, script: string, args: readonly string[] = []) {
    const path = fileURLToPath(new URL(`${script}${EXTENSION}`, import.meta.url));
    const node = ['--disable-warning=ExperimentalWarning', path, ...args];
    // Not `ip netns exec`: that remounts /sys.
    this.#child = spawn('nsenter', [`--net=/run/netns/${namespace}`, process.execPath, ...node]);
    this.#child.stderr.on('data', (data: Buffer) => {
      this.#stderr = (this.#stderr + data.toString()).slice(-20_000);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => {
        const err = new Error(`${script} ended: ${this.#stderr}`);
        for (const { reject } of this.#waiting.values()) reject(err);
        this.#waiting.clear();
        resolve();
      });
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#receive(line));
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when the program says `{"ready":true}`. */
  whenReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ready = resolve;
      void this.#exited.then(() => reject(new Error(`Ended before it was ready: ${this.#stderr}`)));
    });
  }

  ask<T>(request: object): Promise<T> {
    const id = ++this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#child.stdin.write(`${JSON.stringify({ ...request, id })}\n`);
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    await this.#exited;
  }

  #receive(line: string): void {
    const reply = JSON.parse(line) as Reply;
    if (reply.ready) {
      this.#ready();
      return;
    }
    const waiting = this.#waiting.get(reply.id ?? 0);
    this.#waiting.delete(reply.id ?? 0);
    if (reply.error !== undefined) waiting?.reject(new Error(reply.error));
    else waiting?.resolve(reply.result);
  }
}
