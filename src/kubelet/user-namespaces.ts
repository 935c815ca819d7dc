import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pod } from '../api/types.ts';
import { errnoOf } from '../util/errors.ts';
import type {
  ContainerConfig,
  IdMapping,
  PodSandboxConfig,
  UserNamespace,
} from './runtime/runtime.ts';

export interface UserNamespacesDeps {
  /** `pods` below the root directory. */
  podsDir: string;
  /** Whether the runtime that the pod asks for has user namespaces. */
  supports(pod: Pod): boolean;
}

/** So many users has a pod, as upstream gives them: all that two bytes can name. */
const LENGTH = 65_536;
// User ids are numbers of four bytes; the first range is the node's own.
const RANGES = LENGTH - 1;

/**
 * Which users of the node those of a pod are (hostUsers: false): a range for each pod, that no other one has. It is kept
 * beside what else the pod has on disk, and is free again when that is gone.
 */
export class UserNamespaces {
  readonly #deps: UserNamespacesDeps;
  #first: Map<string, number> | undefined;

  constructor(deps: UserNamespacesDeps) {
    this.#deps = deps;
  }

  /** The first user of each pod; at the beginning, those that an earlier kubelet gave. */
  #ranges(): Map<string, number> {
    this.#first ??= new Map(
      namesIn(this.#deps.podsDir).flatMap((uid) => {
        const first = readFirst(this.#file(uid));
        return first === undefined ? [] : [[uid, first] as const];
      }),
    );
    return this.#first;
  }

  /** Undefined for pods that have the node's users. Throws where others cannot be had. */
  of(pod: Pod): UserNamespace | undefined {
    if (pod.spec?.hostUsers !== false) return undefined;
    const { uid } = pod.metadata;
    const first = this.#ranges().get(uid) ?? this.#allocate(pod);
    const mapping: IdMapping = { hostId: first, containerId: 0, length: LENGTH };
    return { mode: 'POD', uids: [mapping], gids: [mapping] };
  }

  /** Nothing of the pod is left. */
  release(uid: string): void {
    this.#first?.delete(uid);
  }

  #allocate(pod: Pod): number {
    if (!this.#deps.supports(pod)) throw new Error(unsupported(pod));
    const taken = new Set(this.#ranges().values());
    let range = 1;
    while (taken.has(range * LENGTH)) range++;
    if (range > RANGES) throw new Error('no user ids are left for a user namespace');
    const { uid } = pod.metadata;
    const file = this.#file(uid);
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    const mapping = { hostId: range * LENGTH, containerId: 0, length: LENGTH };
    const text = JSON.stringify({ uidMappings: [mapping], gidMappings: [mapping] });
    writeFileSync(file, text, { mode: 0o644 });
    this.#ranges().set(uid, mapping.hostId);
    return mapping.hostId;
  }

  #file(uid: string): string {
    return join(this.#deps.podsDir, uid, 'userns');
  }
}

function unsupported({ spec }: Pod): string {
  const handler = spec?.runtimeClassName;
  const who = handler ? `RuntimeClass handler ${JSON.stringify(handler)}` : 'runtime';
  return `can't set \`spec.hostUsers: false\`, ${who} does not support user namespaces`;
}

function readFirst(file: string): number | undefined {
  try {
    const { uidMappings } = JSON.parse(readFileSync(file, 'utf8')) as { uidMappings: IdMapping[] };
    return uidMappings[0]?.hostId;
  } catch (err) {
    if (errnoOf(err) === 'ENOENT' || errnoOf(err) === 'ENOTDIR') return undefined;
    throw new Error(`the user ids of a pod in ${file} cannot be read`, { cause: err });
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return [];
    throw err;
  }
}

/** The container in its sandbox's user namespace: files of its volumes belong to the same users inside as outside. Pure. */
export function inUserNamespace(
  config: ContainerConfig,
  sandbox: PodSandboxConfig,
): ContainerConfig {
  const { usernsOptions } = sandbox.linux.securityContext.namespaceOptions;
  if (!usernsOptions) return config;
  const { securityContext } = config.linux;
  const namespaceOptions = { ...securityContext.namespaceOptions, usernsOptions };
  const { uids: uidMappings, gids: gidMappings } = usernsOptions;
  return {
    ...config,
    mounts: config.mounts.map((mount) => ({ ...mount, uidMappings, gidMappings })),
    linux: { ...config.linux, securityContext: { ...securityContext, namespaceOptions } },
  };
}
