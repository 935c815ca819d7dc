/** One entry of a named set of the kernel, or of a map when it has a value. */
export interface Element<Set extends string = string> {
  readonly set: Set;
  readonly key: string;
  readonly value: string;
}

/** What to delete and what to add; a changed value is in both. */
export interface ElementChanges<Set extends string = string> {
  readonly gone: Element<Set>[];
  readonly fresh: Element<Set>[];
}

/** The same for all that there is. */
export interface WholeChanges<Set extends string = string> {
  readonly gone: Element<Set>[];
  readonly fresh: Iterable<Element<Set>>;
}

/**
 * Who put what into which set. Two ports of a service share their cluster IP, two services may share an endpoint
 * or (by a mistake) a node port: an entry stays as long as somebody wants it, and the first one's value counts.
 */
export class ElementStore<Set extends string = string> {
  /** Values wanted for an entry, by set and key, in the order of arrival; hardly ever more than one, so a lone one has no list. */
  readonly #wanted = new Map<string, string | string[]>();
  /** What the kernel holds of the entries that were touched since the last question; absent before the first, when all is new. */
  #before: Map<string, string | undefined> | undefined;

  add({ set, key, value }: Element<Set>): void {
    const id = `${set} ${key}`;
    const values = this.#touch(id);
    this.#wanted.set(id, values.length === 0 ? value : [...values, value]);
  }

  remove({ set, key, value }: Element<Set>): void {
    const id = `${set} ${key}`;
    const values = this.#touch(id);
    const index = values.indexOf(value);
    if (index < 0) return;
    const [first, ...others] = values.toSpliced(index, 1);
    if (first === undefined) this.#wanted.delete(id);
    else this.#wanted.set(id, others.length === 0 ? first : [first, ...others]);
  }

  /** What changed since the last call. */
  takeChanges(): ElementChanges<Set> {
    if (!this.#before) return { gone: [], fresh: [...this.changesFrom([]).fresh] };
    const gone: Element<Set>[] = [];
    const fresh: Element<Set>[] = [];
    for (const [id, before] of this.#before) {
      const after = this.#valuesOf(id)[0];
      if (before === after) continue;
      const entry = entryOf<Set>(id);
      if (before !== undefined) gone.push({ ...entry, value: before });
      if (after !== undefined) fresh.push({ ...entry, value: after });
    }
    this.#before.clear();
    return { gone, fresh };
  }

  /**
   * What leads from `held`, the kernel's entries, to all that is wanted; before the next call, as what is to be added is made
   * one by one. Forgets the changes that were not taken.
   */
  changesFrom(held: Iterable<Element<Set>>): WholeChanges<Set> {
    this.#before = new Map();
    const values = new Map<string, string>();
    const gone: Element<Set>[] = [];
    for (const element of held) {
      const id = `${element.set} ${element.key}`;
      values.set(id, element.value);
      if (this.#valuesOf(id)[0] !== element.value) gone.push(element);
    }
    return { gone, fresh: this.#without(values) };
  }

  *#without(held: ReadonlyMap<string, string>): Generator<Element<Set>> {
    for (const id of this.#wanted.keys()) {
      const [value = ''] = this.#valuesOf(id);
      if (held.get(id) !== value) yield { ...entryOf<Set>(id), value };
    }
  }

  #valuesOf(id: string): readonly string[] {
    const values = this.#wanted.get(id) ?? [];
    return typeof values === 'string' ? [values] : values;
  }

  #touch(id: string): readonly string[] {
    const values = this.#valuesOf(id);
    if (this.#before && !this.#before.has(id)) this.#before.set(id, values[0]);
    return values;
  }
}

function entryOf<Set extends string>(id: string): { set: Set; key: string } {
  const space = id.indexOf(' ');
  return { set: id.slice(0, space) as Set, key: id.slice(space + 1) };
}
