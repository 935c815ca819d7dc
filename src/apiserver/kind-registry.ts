import type { ResourceKind } from './resource-kind.ts';

/** Every kind that is served now: the built-in ones and those that CustomResourceDefinitions declare. */
export class KindRegistry {
  readonly #kinds = new Map<string, ResourceKind>();
  readonly #groupVersions = new Map<string, number>();
  #list: readonly ResourceKind[] | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(builtin: Iterable<ResourceKind>) {
    for (const kind of builtin) this.#add(kind);
  }

  get(group: string, version: string, resource: string): ResourceKind | undefined {
    return this.#kinds.get(keyOf({ group, version, resource }));
  }

  /** True when some kind is served in this group and version. */
  hasGroupVersion(group: string, version: string): boolean {
    return this.#groupVersions.has(`${group}/${version}`);
  }

  /** The same array until something changes. */
  all(): readonly ResourceKind[] {
    this.#list ??= [...this.#kinds.values()];
    return this.#list;
  }

  /** Replaces the kind of the same group, version and resource. */
  set(kind: ResourceKind): void {
    this.#remove(kind);
    this.#add(kind);
    this.#changed();
  }

  delete(kind: { group: string; version: string; resource: string }): void {
    this.#remove(kind);
    this.#changed();
  }

  /** Calls `fn` after each change. */
  onChange(fn: () => void): void {
    this.#listeners.add(fn);
  }

  #add(kind: ResourceKind): void {
    this.#kinds.set(keyOf(kind), kind);
    const groupVersion = `${kind.group}/${kind.version}`;
    this.#groupVersions.set(groupVersion, (this.#groupVersions.get(groupVersion) ?? 0) + 1);
  }

  #remove(kind: { group: string; version: string; resource: string }): void {
    if (!this.#kinds.delete(keyOf(kind))) return;
    const groupVersion = `${kind.group}/${kind.version}`;
    const left = (this.#groupVersions.get(groupVersion) ?? 1) - 1;
    if (left === 0) this.#groupVersions.delete(groupVersion);
    else this.#groupVersions.set(groupVersion, left);
  }

  #changed(): void {
    this.#list = undefined;
    for (const fn of this.#listeners) fn();
  }
}

function keyOf(kind: { group: string; version: string; resource: string }): string {
  return `${kind.group}/${kind.version}/${kind.resource}`;
}
