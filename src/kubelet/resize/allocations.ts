import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { qosClassOf } from '../../api/pods.ts';
import type { Container, Pod } from '../../api/types.ts';
import { errnoOf } from '../../util/errors.ts';
import { allContainersOf } from '../names.ts';
import type { PodDirs } from '../pod-dirs.ts';
import { changedCompute, type Resources } from './container-resources.ts';

type ByContainer = Record<string, Resources>;

interface Entry {
  /** What the node has set aside for each container. */
  allocated: ByContainer;
  /** What each container was last started with or changed to. */
  actuated: ByContainer;
  /** The pod's own resources (KEP-5419), beside those of its containers. */
  pod: { allocated?: Resources | undefined; actuated?: Resources | undefined };
  /** The pod as its source wants it. */
  wanted: Pod;
}

/** Whether a running container must change to have what is allocated to it (KEP-1287). */
export type ResizeNeed = 'update' | 'restart' | undefined;

/**
 * The resources that each pod here has been granted, which a resize (KEP-1287) may lag behind what its spec asks for.
 * Kept in a file per pod, so that a restarted kubelet neither forgets a grant nor takes a wish for one.
 */
export class Allocations {
  readonly #dirs: PodDirs;
  readonly #entries = new Map<string, Entry>();

  constructor(deps: { dirs: PodDirs }) {
    this.#dirs = deps.dirs;
  }

  /** The pod with the resources that are allocated to it; a pod seen for the first time gets what it asks for. */
  view(pod: Pod): Pod {
    const { uid } = pod.metadata;
    const entry = this.#entries.get(uid) ?? this.#load(pod) ?? fresh(pod);
    entry.wanted = pod;
    this.#entries.set(uid, entry);
    return withResources(pod, entry);
  }

  /** The pod as its source wants it, when that differs from what it has been granted. */
  wanted(uid: string): Pod | undefined {
    const entry = this.#entries.get(uid);
    if (!entry) return undefined;
    return lagsBehind(entry.wanted, entry) ? entry.wanted : undefined;
  }

  /** Grants what the pod wants now. Answers the pod with it. */
  grant(uid: string): Pod | undefined {
    const entry = this.#entries.get(uid);
    if (!entry) return undefined;
    entry.allocated = resourcesOf(entry.wanted);
    entry.pod.allocated = ownResources(entry.wanted);
    this.#save(uid, entry);
    return entry.wanted;
  }

  /** The container was started with, or changed to, its resources. */
  actuated(uid: string, container: Container): void {
    const entry = this.#entries.get(uid);
    if (!entry) return;
    const resources = container.resources ?? {};
    const before = entry.actuated[container.name];
    entry.actuated[container.name] = resources;
    // A pod without any may not get some later (its QoS class would change), so there is nothing to remember.
    const { spec } = entry.wanted;
    if (!spec || qosClassOf(spec) === 'BestEffort') return;
    if (!before || changedCompute(before, resources).length > 0) this.#save(uid, entry);
  }

  actuatedOf(uid: string, name: string): Resources | undefined {
    return this.#entries.get(uid)?.actuated[name];
  }

  /** The pod's own group has what is allocated to the pod as a whole. */
  podActuated(uid: string): void {
    const entry = this.#entries.get(uid);
    if (!entry || !this.podLags(uid)) return;
    entry.pod.actuated = entry.pod.allocated;
    this.#save(uid, entry);
  }

  actuatedOfPod(uid: string): Resources | undefined {
    return this.#entries.get(uid)?.pod.actuated;
  }

  /** Whether the pod's own group must change. */
  podLags(uid: string): boolean {
    const { allocated, actuated } = this.#entries.get(uid)?.pod ?? {};
    return changedCompute(allocated, actuated).length > 0;
  }

  need(uid: string, container: Container): ResizeNeed {
    const actuated = this.actuatedOf(uid, container.name);
    if (!actuated) return undefined;
    const changed = [
      ...changedCompute(container.resources, actuated),
      ...this.#changedAbove(uid, container),
    ];
    if (changed.length === 0) return undefined;
    const restarts = (container.resizePolicy ?? []).some(
      (p) => p.restartPolicy === 'RestartContainer' && changed.includes(p.resourceName),
    );
    return restarts ? 'restart' : 'update';
  }

  /** Limits that the container has none of its own for, and that have changed for the pod as a whole. */
  #changedAbove(uid: string, { resources }: Container): readonly string[] {
    const { allocated, actuated } = this.#entries.get(uid)?.pod ?? {};
    const changed = changedCompute({ limits: allocated?.limits }, { limits: actuated?.limits });
    return changed.filter((name) => resources?.limits?.[name] === undefined);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  #file(uid: string): string {
    return join(this.#dirs.pod(uid), 'resources.json');
  }

  #load(pod: Pod): Entry | undefined {
    try {
      const kept = JSON.parse(readFileSync(this.#file(pod.metadata.uid), 'utf8')) as Omit<
        Entry,
        'wanted'
      >;
      return { ...kept, pod: kept.pod ?? startOf(pod), wanted: pod };
    } catch (err) {
      // A file that a crash has cut short tells nothing.
      if (errnoOf(err) === 'ENOENT' || err instanceof SyntaxError) return undefined;
      throw err;
    }
  }

  #save(uid: string, { allocated, actuated, pod }: Entry): void {
    mkdirSync(this.#dirs.pod(uid), { recursive: true, mode: 0o750 });
    writeFileSync(this.#file(uid), JSON.stringify({ allocated, actuated, pod }), { mode: 0o600 });
  }
}

const fresh = (pod: Pod): Entry => ({
  ...{ allocated: resourcesOf(pod), actuated: {} },
  ...{ pod: startOf(pod), wanted: pod },
});

/** The group of a pod is made with what the pod asks for. */
const startOf = (pod: Pod): Entry['pod'] => ({
  allocated: ownResources(pod),
  actuated: ownResources(pod),
});

const ownResources = (pod: Pod): Resources | undefined => pod.spec?.resources;

const lagsBehind = (pod: Pod, { allocated, pod: own }: Pick<Entry, 'allocated' | 'pod'>): boolean =>
  changedCompute(ownResources(pod), own.allocated).length > 0 ||
  resizable(pod).some((c) => changedCompute(c.resources, allocated[c.name]).length > 0);

const resizable = (pod: Pod): Container[] => [
  ...(pod.spec?.initContainers ?? []),
  ...(pod.spec?.containers ?? []),
];

function resourcesOf(pod: Pod): ByContainer {
  return Object.fromEntries(allContainersOf(pod).map((c) => [c.name, c.resources ?? {}]));
}

function withResources(pod: Pod, entry: Entry): Pod {
  const { spec } = pod;
  if (!spec || !lagsBehind(pod, entry)) return pod;
  const held = (c: Container): Container => {
    const own = entry.allocated[c.name];
    return own ? { ...c, resources: { ...c.resources, ...own } } : c;
  };
  return {
    ...pod,
    spec: {
      ...spec,
      ...(entry.pod.allocated ? { resources: entry.pod.allocated } : {}),
      ...(spec.initContainers ? { initContainers: spec.initContainers.map(held) } : {}),
      containers: spec.containers.map(held),
    },
  };
}
