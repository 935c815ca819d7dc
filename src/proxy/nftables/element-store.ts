import type { Element } from './service-rules.ts';

/**
 * Who put what into which set. Two ports of a service share their cluster IP, two services may share an endpoint
 * or (by a mistake) a node port: an entry stays as long as somebody wants it, and the first one's value counts.
 */
export class ElementStore {
  /** Values wanted for an entry, by set and key, in the order of arrival. */
  readonly #wanted = new Map<string, string[]>();
  /** What the kernel holds of the entries that were touched since `takeChanges`. */
  readonly #before = new Map<string, string | undefined>();

  add({ set, key, value }: Element): void {
    const id = `${set} ${key}`;
    const values = this.#touch(id);
    values.push(value);
    this.#wanted.set(id, values);
  }

  remove({ set, key, value }: Element): void {
    const id = `${set} ${key}`;
    const values = this.#touch(id);
    const index = values.indexOf(value);
    if (index >= 0) values.splice(index, 1);
    if (values.length === 0) this.#wanted.delete(id);
  }

  /** Entries to delete and to add since the last call, as nft writes them. */
  takeChanges(): { gone: string[]; fresh: string[] } {
    const gone: string[] = [];
    const fresh: string[] = [];
    for (const [id, before] of this.#before) {
      const after = this.#wanted.get(id)?.[0];
      if (before === after) continue;
      const space = id.indexOf(' ');
      const set = id.slice(0, space);
      const key = id.slice(space + 1);
      if (before !== undefined) gone.push(`${set} { ${key} }`);
      if (after !== undefined) fresh.push(`${set} { ${key}${after === '' ? '' : ` : ${after}`} }`);
    }
    this.#before.clear();
    return { gone, fresh };
  }

  #touch(id: string): string[] {
    const values = this.#wanted.get(id) ?? [];
    if (!this.#before.has(id)) this.#before.set(id, values[0]);
    return values;
  }
}
