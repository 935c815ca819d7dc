import { isMirrorPod } from '../api/pods.ts';
import type { Node, Pod } from '../api/types.ts';
import type { Client, Informer } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { MirrorPods } from './mirror-pods.ts';
import { StaticPods } from './static-pods.ts';

export interface PodSourcesDeps {
  client: Client;
  clock: Clock;
  log: Logger;
  /** The pods that the API server binds to this node. */
  pods: Informer<Pod>;
  /** Empty: no static pods. */
  staticPodPath: string;
  /** How often its files are looked at, whatever the kernel tells. */
  fileCheckMs: number;
  nodeName: string;
  node(): Node | undefined;
  /** A source has a new or changed pod. */
  update(pod: Pod): void;
  /** No source has the pod any more. */
  remove(uid: string): void;
  isHere(uid: string): boolean;
  /** The status of a static pod has a new object to be shown in. */
  retell(pod: Pod): void;
}

/** Where pods come from: the API server, and files of this node, which the API server only mirrors. */
export class PodSources {
  readonly #deps: PodSourcesDeps;
  readonly #static: StaticPods;
  readonly #mirrors: MirrorPods;

  constructor(deps: PodSourcesDeps) {
    this.#deps = deps;
    const { client, clock, log, node, nodeName, staticPodPath, isHere, retell } = deps;
    this.#static = new StaticPods({
      directory: staticPodPath,
      nodeName,
      recheckMs: deps.fileCheckMs,
      clock,
      log,
      isHere,
      onPod: (pod) => {
        deps.update(pod);
        this.#mirrors.poke();
      },
      onGone: (pod) => {
        deps.remove(pod.metadata.uid);
        this.#mirrors.poke();
      },
    });
    const wanted = (): Pod[] => this.#static.list();
    this.#mirrors = new MirrorPods({ client, clock, log, node, wanted, onMirror: retell });
  }

  /** The object that shows a static pod in the API, once it is there. */
  mirrorOf(pod: Pod): Pod | undefined {
    return this.#mirrors.of(pod);
  }

  /** A pod has left the node. */
  podLeft(): void {
    this.#static.podLeft();
  }

  /** Before anything else: a static pod that is not known yet would seem to be an orphan. */
  async lookAtFiles(): Promise<void> {
    if (this.#deps.staticPodPath !== '') await this.#static.look();
  }

  /** Works until aborted. Static pods wait for nobody: the API server may be one of them. */
  async runStatic(signal: AbortSignal): Promise<void> {
    if (this.#deps.staticPodPath === '') return;
    await this.#static.run(signal);
  }

  /** Takes up the API server's pods; works until aborted. `heard` is called when all of them are known. */
  async runApi(heard: () => void, signal: AbortSignal): Promise<void> {
    const { pods, log, remove } = this.#deps;
    await pods.whenSynced(signal);
    pods.addHandler({
      onAdd: (pod) => this.#seen(pod),
      onUpdate: (_before, pod) => this.#seen(pod),
      onDelete: (pod) => {
        if (isMirrorPod(pod)) this.#mirrors.gone(pod);
        else remove(pod.metadata.uid);
      },
    });
    log.info({ pods: pods.list().length }, 'Kubelet takes up its pods');
    heard();
    await this.#mirrors.run(signal);
  }

  #seen(pod: Pod): void {
    if (isMirrorPod(pod)) this.#mirrors.seen(pod);
    else this.#deps.update(pod);
  }
}
