import { isAlreadyExists, isConflict, isNotFound } from '../api/errors.ts';
import { PODS } from '../api/resource-types.ts';
import type { Node, Pod } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { podKey } from './names.ts';
import { mirrorOf, mirrors } from './static-pod.ts';

export interface MirrorPodsDeps {
  client: Client;
  clock: Clock;
  log: Logger;
  /** The static pods that are to run. */
  wanted(): readonly Pod[];
  node(): Node | undefined;
  /** A mirror is there: the pod's status can be told. */
  onMirror(pod: Pod): void;
}

const RETRY_MS = 1000;

/** Keeps one object in the API per static pod, so that it can be seen there. Acts only when something changed. */
export class MirrorPods {
  readonly #deps: MirrorPodsDeps;
  readonly #mirrors = new Map<string, Pod>();
  /** UIDs of those that were seen to go while one is being made: its answer may come after its end. */
  #goneMeanwhile: Set<string> | undefined;
  #dirty = false;
  #wake: () => void = () => {};

  constructor(deps: MirrorPodsDeps) {
    this.#deps = deps;
  }

  /** The mirror of a static pod, when it shows this version of it. */
  of(pod: Pod): Pod | undefined {
    const mirror = this.#mirrors.get(podKey(pod));
    return mirror && mirrors(mirror, pod) ? mirror : undefined;
  }

  /** The API has a mirror, or has it in another form now. */
  seen(mirror: Pod): void {
    const key = podKey(mirror);
    const isNew = this.#mirrors.get(key)?.metadata.uid !== mirror.metadata.uid;
    this.#mirrors.set(key, mirror);
    if (isNew) this.#tell(key);
    this.poke();
  }

  gone(mirror: Pod): void {
    this.#goneMeanwhile?.add(mirror.metadata.uid);
    if (this.#mirrors.get(podKey(mirror))?.metadata.uid !== mirror.metadata.uid) return;
    this.#mirrors.delete(podKey(mirror));
    this.poke();
  }

  /** The static pods changed. */
  poke(): void {
    this.#dirty = true;
    this.#wake();
  }

  /** Works until aborted; the API server has been heard. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    while (!signal.aborted) {
      if (!this.#dirty) await this.#pause(signal);
      if (signal.aborted) return;
      this.#dirty = false;
      try {
        if (!(await this.#reconcile())) await this.#later(signal);
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err: errorMessage(err) }, 'Cannot show static pods in the API');
        await this.#later(signal);
      }
    }
  }

  async #later(signal: AbortSignal): Promise<void> {
    this.#dirty = true;
    await this.#deps.clock.sleep(RETRY_MS, signal).catch(() => {});
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#wake = () => {};
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Answers whether everything is as it should be, as far as this node can do it now. */
  async #reconcile(): Promise<boolean> {
    const { wanted, node } = this.#deps;
    const pods = new Map(wanted().map((pod) => [podKey(pod), pod]));
    for (const [key, mirror] of this.#mirrors) {
      const pod = pods.get(key);
      const fits = pod && mirrors(mirror, pod) && mirror.metadata.deletionTimestamp === undefined;
      if (!fits) await this.#delete(mirror);
    }
    const missing = [...pods].filter(([key]) => !this.#mirrors.has(key));
    if (missing.length === 0) return true;
    const owner = node();
    if (!owner) return false;
    for (const [, pod] of missing) await this.#create(pod, owner);
    return true;
  }

  async #create(pod: Pod, node: Node): Promise<void> {
    const { client, log } = this.#deps;
    const gone = new Set<string>();
    this.#goneMeanwhile = gone;
    try {
      const mirror = await client.create(PODS, mirrorOf(pod, node));
      log.info({ pod: podKey(pod) }, 'Static pod is shown in the API');
      if (gone.has(mirror.metadata.uid)) this.poke();
      // What the watch has told of it meanwhile is newer than this.
      else if (this.#mirrors.get(podKey(pod))?.metadata.uid !== mirror.metadata.uid) {
        this.#mirrors.set(podKey(pod), mirror);
        this.#tell(podKey(pod));
      }
    } catch (err) {
      if (!isAlreadyExists(err)) throw err;
      // Its watch event is on the way; a pod of that name that is no mirror of ours stays.
    } finally {
      this.#goneMeanwhile = undefined;
    }
  }

  async #delete(mirror: Pod): Promise<void> {
    const { name, namespace, uid } = mirror.metadata;
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    try {
      await this.#deps.client.delete(PODS, { name, namespace }, options);
    } catch (err) {
      if (!isNotFound(err) && !isConflict(err)) throw err;
    }
    if (this.#mirrors.get(podKey(mirror))?.metadata.uid === uid)
      this.#mirrors.delete(podKey(mirror));
  }

  #tell(key: string): void {
    const pod = this.#deps.wanted().find((p) => podKey(p) === key);
    if (pod && this.of(pod)) this.#deps.onMirror(pod);
  }
}
