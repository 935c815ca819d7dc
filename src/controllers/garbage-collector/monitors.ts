import { apiVersionOf, type ResourceType } from '../../api/resource-types.ts';
import type { PartialObject } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import { createInformer } from '../../client/informer.ts';
import { errorMessage } from '../../util/errors.ts';
import type { ControllerContext } from '../context.ts';
import { type DiscoveredType, discover } from '../discovery.ts';

/** Kinds whose objects own nothing and go by themselves (upstream's default). */
const IGNORED = new Set(['events.', 'events.events.k8s.io']);
const RETRY_MS = 5_000;

export interface MonitorHandler {
  seen(type: ResourceType<unknown>, object: PartialObject): void;
  gone(uid: string): void;
}

interface Monitor {
  readonly informer: Informer<PartialObject>;
  /** Absent: the informer is shared and goes on without us. */
  readonly stop: AbortController | undefined;
}

/** Watches the metadata of every kind that can be deleted, also of kinds that come and go at run time. */
export class Monitors {
  readonly #context: ControllerContext;
  readonly #handler: MonitorHandler;
  readonly #monitors = new Map<string, Monitor>();
  readonly #running = new Set<Promise<void>>();
  #byKind = new Map<string, DiscoveredType>();
  #reading: Promise<void> = Promise.resolve();
  /** Begins when the one under way has ended, and serves all who ask until then. */
  #next: Promise<void> | undefined;

  constructor(context: ControllerContext, handler: MonitorHandler) {
    this.#context = context;
    this.#handler = handler;
  }

  /** The type that an owner reference names, if the server has it. */
  typeOf({ apiVersion, kind }: { apiVersion: string; kind: string }): DiscoveredType | undefined {
    return this.#byKind.get(`${apiVersion} ${kind}`);
  }

  /**
   * Reads which kinds there are, and watches those that are new. Tries until it succeeds. One reading at a time: an
   * answer from before a kind was there must not come last and end its watch.
   */
  refresh(signal: AbortSignal): Promise<void> {
    this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      this.#reading = this.#read(signal);
      return this.#reading;
    });
    return this.#next;
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#context;
    for (let quiet = false; !signal.aborted; quiet = true) {
      try {
        const { types, failed } = await discover(client, signal);
        this.#follow(types, failed, signal);
        return;
      } catch (err) {
        if (signal.aborted) return;
        log[quiet ? 'debug' : 'warn']({ err: errorMessage(err) }, 'Cannot discover kinds');
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#monitors.values()].map((m) => m.informer.whenSynced(signal)));
  }

  /** Ends when every watch has ended. */
  async finished(): Promise<void> {
    await Promise.all(this.#running);
  }

  #follow(types: readonly DiscoveredType[], failed: readonly string[], signal: AbortSignal): void {
    this.#byKind = new Map(types.map((type) => [`${apiVersionOf(type)} ${type.kind}`, type]));
    const wanted = new Map(types.filter(isCollected).map((type) => [idOf(type), type]));
    for (const [id, monitor] of this.#monitors) {
      // A group that did not answer may come back with all its objects.
      const silent = failed.includes(apiVersionOf(monitor.informer.type));
      if (!wanted.has(id) && !silent) this.#drop(id, monitor);
    }
    for (const [id, type] of wanted) {
      if (!this.#monitors.has(id)) this.#monitors.set(id, this.#start(type, signal));
    }
  }

  #start(type: DiscoveredType, signal: AbortSignal): Monitor {
    const { client, informers, clock, log } = this.#context;
    const shared = informers.find<PartialObject>(type);
    const stop = shared ? undefined : new AbortController();
    const plain = { ...type } as ResourceType<PartialObject>;
    const informer =
      shared ?? createInformer(client, plain, { metadataOnly: true }, { clock, log });
    informer.addHandler({
      onAdd: (object) => this.#handler.seen(type, object),
      onUpdate: (_, object) => this.#handler.seen(type, object),
      onDelete: (object) => this.#handler.gone(object.metadata.uid),
    });
    if (stop) this.#running.add(informer.run(AbortSignal.any([signal, stop.signal])));
    return { informer, stop };
  }

  /** The kind is no more, and so are its objects. */
  #drop(id: string, { informer, stop }: Monitor): void {
    if (!stop) return;
    stop.abort();
    this.#monitors.delete(id);
    for (const object of informer.list()) this.#handler.gone(object.metadata.uid);
  }
}

function isCollected(type: DiscoveredType): boolean {
  const { verbs } = type;
  const able = ['delete', 'list', 'watch'].every((verb) => verbs.includes(verb));
  return able && !IGNORED.has(idOf(type));
}

function idOf({ group, resource }: { group: string; resource: string }): string {
  return `${resource}.${group}`;
}
