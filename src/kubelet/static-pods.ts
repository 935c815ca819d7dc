import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { timeString } from '../api/times.ts';
import type { Pod } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';
import { errnoOf, errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { podKey } from './names.ts';
import { parseStaticPod } from './static-pod.ts';

export interface StaticPodsDeps {
  readonly directory: string;
  readonly nodeName: string;
  /**
   * fileCheckFrequency. Events make changes seen at once; this is for file systems that send none, and for a directory that
   * comes later.
   */
  readonly recheckMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** A manifest came or changed. */
  onPod(pod: Pod): void;
  /** A manifest went or says something else now. */
  onGone(pod: Pod): void;
  /** Whether anything of that pod is left on the node. */
  isHere(uid: string): boolean;
}

// An editor writes in several steps.
const SETTLE_MS = 50;

interface Manifest {
  version: string;
  pod: Pod | undefined;
}

/** Pods from the files of a directory: one Pod per file, JSON or YAML, hidden files left out. */
export class StaticPods {
  readonly #deps: StaticPodsDeps;
  readonly #manifests = new Map<string, Manifest>();
  readonly #running = new Map<string, Pod>();
  /** By name: the uid of an earlier version that may still be on the node. */
  readonly #leaving = new Map<string, string>();
  #wake: () => void = () => {};
  #warned = '';

  constructor(deps: StaticPodsDeps) {
    this.#deps = deps;
  }

  /** The static pods that are to run. */
  list(): Pod[] {
    return [...this.#running.values()];
  }

  /** A pod has left the node: another version of it may have waited for that. */
  podLeft(): void {
    if (this.#manifests.size > 0) this.#wake();
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, recheckMs } = this.#deps;
    let watcher: FSWatcher | undefined;
    signal.addEventListener('abort', () => watcher?.close(), { once: true });
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      watcher ??= this.#watch(() => {
        watcher = undefined;
      });
      await this.look();
      const pause = new AbortController();
      const timer = clock.sleep(recheckMs, AbortSignal.any([signal, pause.signal]));
      await Promise.race([woken, timer.catch(() => {})]);
      pause.abort();
      if (!signal.aborted) await clock.sleep(SETTLE_MS, signal).catch(() => {});
    }
    watcher?.close();
  }

  #watch(onLost: () => void): FSWatcher | undefined {
    try {
      const watcher = watch(this.#deps.directory, () => this.#wake());
      watcher.on('error', () => {
        watcher.close();
        onLost();
        this.#wake();
      });
      return watcher;
    } catch {
      return undefined; // Not there (yet); the next look tries again.
    }
  }

  /** Reads the directory and tells what is different from before. */
  async look(): Promise<void> {
    const files = await this.#files();
    if (!files) return;
    for (const [file, version] of files) await this.#read(file, version);
    for (const file of this.#manifests.keys()) if (!files.has(file)) this.#manifests.delete(file);
    this.#tell();
  }

  /** File name → what changes when the file does. Undefined when the directory cannot be read: nothing is known then. */
  async #files(): Promise<Map<string, string> | undefined> {
    const { directory, log } = this.#deps;
    const found = new Map<string, string>();
    try {
      for (const name of (await readdir(directory)).sort()) {
        if (name.startsWith('.')) continue;
        const facts = await stat(join(directory, name)).catch(() => undefined);
        if (facts?.isFile()) found.set(name, `${facts.ino}/${facts.size}/${facts.mtimeMs}`);
      }
      this.#warned = '';
      return found;
    } catch (err) {
      if (errnoOf(err) === 'ENOENT') return found;
      const text = errorMessage(err);
      if (text !== this.#warned) log.warn({ err: text }, 'Cannot read the static pod directory');
      this.#warned = text;
      return undefined;
    }
  }

  async #read(file: string, version: string): Promise<void> {
    const { directory, nodeName, clock, log } = this.#deps;
    const known = this.#manifests.get(file);
    if (known?.version === version) return;
    try {
      const text = await readFile(join(directory, file), 'utf8');
      const seen = known?.pod?.metadata.creationTimestamp ?? timeString(clock.now());
      const pod = await parseStaticPod(text, { file: join(directory, file), nodeName, seen });
      this.#manifests.set(file, { version, pod });
    } catch (err) {
      // What ran before goes on: a file that is half written must not stop the control plane.
      this.#manifests.set(file, { version, pod: known?.pod });
      log.warn({ file: join(directory, file), err: errorMessage(err) }, 'Cannot use a manifest');
    }
  }

  #tell(): void {
    const wanted = this.#wanted();
    for (const [key, pod] of this.#running) {
      if (wanted.get(key)?.metadata.uid === pod.metadata.uid) continue;
      this.#leaving.set(key, pod.metadata.uid);
      this.#running.delete(key);
      this.#deps.onGone(pod);
    }
    for (const [key, uid] of this.#leaving) {
      if (!this.#deps.isHere(uid)) this.#leaving.delete(key);
    }
    for (const [key, pod] of wanted) {
      // A version that leaves must be gone before the next one starts: they share names and host ports.
      if (this.#running.has(key) || this.#leaving.has(key)) continue;
      this.#running.set(key, pod);
      this.#deps.onPod(pod);
    }
  }

  #wanted(): Map<string, Pod> {
    const wanted = new Map<string, Pod>();
    for (const [file, { pod }] of this.#manifests) {
      if (!pod) continue;
      const key = podKey(pod);
      if (!wanted.has(key)) wanted.set(key, pod);
      else this.#deps.log.warn({ file, pod: key }, 'A second manifest names the same pod');
    }
    return wanted;
  }
}
