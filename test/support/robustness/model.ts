import type { StorageEvent } from '../../../src/storage/storage.ts';

/** What the traffic tells, in the order in which it happened. */
export type Line =
  | { id: number; ask: 'get' | 'list'; key: string }
  | { id: number; ask: 'delete'; key: string; expected: number }
  | { id: number; ask: 'put'; key: string; expected: number; value: string }
  | { id: number; answer: 'written' | 'read'; revision: number }
  | { id: number; answer: 'listed'; revision: number; items: [string, number][] }
  | { id: number; answer: 'refused'; kind: string; revision: number | undefined }
  | { watch: string; prefix: string; after: number }
  | { watch: string; events: [string, number][] }
  | { compact: number };

type Ask = Extract<Line, { ask: string }>;
type Answer = Extract<Line, { answer: string }>;
type State = ReadonlyMap<string, number>;

interface Pending {
  readonly ask: Ask;
  /** The newest revision that somebody had been told of when it was asked. */
  readonly from: number;
}

interface Watch {
  readonly prefix: string;
  /** The last revision that it told of. */
  at: number;
}

/**
 * What a store may have done, by etcd's promises: writes are in one order and compare-and-swap; who asks after an answer
 * sees what was answered; watches are ordered, unique, complete, resumable and never ahead of what is durable.
 * It follows one store through many lives of its process.
 */
export class StoreModel {
  /** Every event since the beginning, by its revision; gaps are revisions that no write used. */
  readonly #history = new Map<number, StorageEvent>();
  #last = 0;
  #compacted = 0;
  /** State behind each revision of the current round. */
  #states = new Map<number, State>([[0, new Map()]]);

  /**
   * One life of the process: what it told, then the history that the store has afterwards, from `after` on. Answers
   * what is wrong, nothing when all promises were kept.
   */
  check(
    lines: readonly Line[],
    found: { after: number; history: readonly StorageEvent[] },
  ): string[] {
    const before = this.#last;
    const wrong = [...this.#learn(found)];
    const pending = new Map<number, Pending>();
    const done: { ask: Ask; answer: Answer; from: number; to: number }[] = [];
    let told = before;
    for (const line of lines) {
      if ('ask' in line) pending.set(line.id, { ask: line, from: told });
      else if ('answer' in line) {
        const asked = pending.get(line.id);
        pending.delete(line.id);
        if (!asked) continue;
        if (line.answer !== 'refused') told = Math.max(told, line.revision);
        done.push({ ...asked, answer: line, to: this.#last });
      } else if ('compact' in line) this.#compacted = Math.max(this.#compacted, line.compact);
    }
    for (const { ask, answer, from } of done) wrong.push(...this.#checkAnswer(ask, answer, from));
    wrong.push(...this.#checkOrigins(before, lines));
    wrong.push(...this.#checkWatches(lines));
    return wrong;
  }

  /** What a list must answer now. */
  get state(): State {
    return this.#states.get(this.#last) ?? new Map();
  }

  get last(): number {
    return this.#last;
  }

  get compacted(): number {
    return this.#compacted;
  }

  #learn({ after, history }: { after: number; history: readonly StorageEvent[] }): string[] {
    const wrong: string[] = [];
    const known = [...this.#history.keys()].filter((revision) => revision > after);
    const present = new Set(history.map((event) => event.revision));
    for (const revision of known)
      if (!present.has(revision)) wrong.push(`lost revision ${revision}`);
    let previous = after;
    const state = new Map(this.state);
    this.#states = new Map([[this.#last, new Map(state)]]);
    for (const event of history) {
      const { revision, key, value } = event;
      if (revision <= previous) wrong.push(`revision ${revision} follows ${previous}`);
      previous = revision;
      const own = this.#history.get(revision);
      if (own && (own.key !== key || !sameValue(own, event))) wrong.push(`${revision} has changed`);
      if (revision <= this.#last) continue;
      this.#history.set(revision, event);
      if (value) state.set(key, revision);
      else state.delete(key);
      this.#states.set(revision, new Map(state));
    }
    this.#last = Math.max(this.#last, previous);
    return wrong;
  }

  #checkAnswer(ask: Ask, answer: Answer, from: number): string[] {
    const what = `${ask.ask} of ${ask.key} (${ask.id})`;
    switch (answer.answer) {
      case 'written':
        return this.#checkWrite(what, ask, answer.revision, from);
      case 'read':
        return this.#existsSince(from, (state) => (state.get(ask.key) ?? 0) === answer.revision)
          ? []
          : [`${what} read ${answer.revision}, which was not there from ${from} on`];
      case 'listed': {
        if (answer.revision < from) return [`${what} is older than ${from}`];
        const state = this.#stateAt(answer.revision);
        return state && sameState(state, answer.items)
          ? []
          : [`${what} at ${answer.revision} differs`];
      }
      default: {
        if (answer.kind !== 'conflict' && answer.kind !== 'exists')
          return [`${what}: ${answer.kind}`];
        const expected = 'expected' in ask ? ask.expected : 0;
        return this.#existsSince(from, (state) => (state.get(ask.key) ?? 0) !== expected)
          ? []
          : [`${what} was refused although it was right`];
      }
    }
  }

  #checkWrite(what: string, ask: Ask, revision: number, from: number): string[] {
    const event = this.#history.get(revision);
    if (event?.key !== ask.key) return [`${what}: acknowledged revision ${revision} is lost`];
    if (event.value?.toString() !== ('value' in ask ? ask.value : undefined)) {
      return [`${what}: revision ${revision} holds another value`];
    }
    if (revision <= from) return [`${what}: revision ${revision} is not behind ${from}`];
    const before = this.#stateAt(revision - 1)?.get(ask.key) ?? 0;
    const expected = 'expected' in ask ? ask.expected : 0;
    return before === expected ? [] : [`${what}: replaced ${before} instead of ${expected}`];
  }

  /** Nothing was written that nobody asked for. */
  #checkOrigins(before: number, lines: readonly Line[]): string[] {
    const asked = new Set<string>();
    for (const line of lines) {
      if ('ask' in line && line.ask === 'put') asked.add(`${line.key} ${line.value}`);
      if ('ask' in line && line.ask === 'delete') asked.add(`${line.key} -`);
    }
    return [...this.#history.values()]
      .filter((e) => e.revision > before && !asked.has(`${e.key} ${e.value?.toString() ?? '-'}`))
      .map((e) => `nobody asked for revision ${e.revision}`);
  }

  #checkWatches(lines: readonly Line[]): string[] {
    const wrong: string[] = [];
    const watches = new Map<string, Watch>();
    for (const line of lines) {
      if (!('watch' in line)) continue;
      if ('prefix' in line) watches.set(line.watch, { prefix: line.prefix, at: line.after });
      const watch = watches.get(line.watch);
      if (!watch || !('events' in line)) continue;
      for (const [key, revision] of line.events) {
        for (const what of this.#checkEvent(watch, key, revision)) {
          wrong.push(`watch ${line.watch} ${what}`);
        }
        watch.at = revision;
      }
    }
    return wrong;
  }

  #checkEvent({ prefix, at }: Watch, key: string, revision: number): string[] {
    const wrong: string[] = [];
    if (this.#history.get(revision)?.key !== key) {
      wrong.push(`told of ${revision}, which did not last`);
    }
    for (let missed = at + 1; missed < revision; missed++) {
      if (this.#history.get(missed)?.key.startsWith(prefix)) wrong.push(`missed ${missed}`);
    }
    if (revision <= at) wrong.push(`told of ${revision} again`);
    return wrong;
  }

  /** True when some state from `from` on is like that: an answer may be of any moment since it was asked for. */
  #existsSince(from: number, isLike: (state: State) => boolean): boolean {
    const first = this.#stateAt(from);
    if (first && isLike(first)) return true;
    for (const [revision, state] of this.#states) if (revision > from && isLike(state)) return true;
    return false;
  }

  #stateAt(revision: number): State | undefined {
    for (let at = revision; at >= 0; at--) {
      const state = this.#states.get(at);
      if (state) return state;
    }
    return undefined;
  }
}

function sameValue(a: StorageEvent, b: StorageEvent): boolean {
  return a.value === undefined ? b.value === undefined : b.value?.equals(a.value) === true;
}

function sameState(state: State, items: readonly [string, number][]): boolean {
  return (
    items.length === state.size && items.every(([key, revision]) => state.get(key) === revision)
  );
}
