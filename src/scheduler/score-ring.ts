import type { ScoreSheet } from './profile.ts';

/** Where the scores of one decision lie. */
export interface RingEntry {
  readonly start: number;
  readonly rows: number;
  readonly plugins: readonly string[];
}

/** One node's scores. */
export interface ScoreRow {
  readonly node: string;
  readonly total: number;
  readonly scores: Readonly<Record<string, number>>;
}

/** Numbers in all: four megabytes. */
const CELLS = 1_000_000;
/** Nodes come and go under new names; more than this are begun anew. */
const MAX_NAMES = 200_000;

/**
 * The scores of the latest decisions, written round and round over the oldest. Thousands of arrays a second that live
 * for a while would keep the garbage collector busier than the scheduler.
 */
export class ScoreRing {
  #cells: Float32Array | undefined;
  /** Cells written since the beginning; where the next entry starts. */
  #written = 0;
  #names: string[] = [];
  readonly #ids = new Map<string, number>();

  /** A row is: node, total, a score per plugin. */
  add({ nodes, totals, columns }: ScoreSheet): RingEntry {
    if (this.#ids.size + nodes.length > MAX_NAMES) this.#forgetNames();
    this.#cells ??= new Float32Array(CELLS);
    const width = columns.length + 2;
    const rows = Math.min(nodes.length, Math.floor(CELLS / width));
    const place = this.#written % CELLS;
    // In one piece: what is left at the end is passed over.
    const start = place + rows * width > CELLS ? this.#written + CELLS - place : this.#written;
    let at = start % CELLS;
    for (let i = 0; i < rows; i++) {
      this.#cells[at++] = this.#idOf(nodes[i]?.name ?? '');
      this.#cells[at++] = totals[i] ?? 0;
      for (const { scores } of columns) this.#cells[at++] = scores[i] ?? 0;
    }
    this.#written = start + rows * width;
    return { start, rows, plugins: columns.map(({ plugin }) => plugin) };
  }

  /** Whether nothing has been written over it yet. */
  holds({ start }: RingEntry): boolean {
    return start >= this.#written - CELLS;
  }

  read({ start, rows, plugins }: RingEntry): ScoreRow[] {
    const cells = this.#cells;
    if (!cells) return [];
    const width = plugins.length + 2;
    return Array.from({ length: rows }, (_, row) => {
      const at = (start % CELLS) + row * width;
      return {
        node: this.#names[cells[at] ?? 0] ?? '',
        total: cells[at + 1] ?? 0,
        scores: Object.fromEntries(plugins.map((plugin, i) => [plugin, cells[at + 2 + i] ?? 0])),
      };
    });
  }

  #idOf(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    this.#names.push(name);
    this.#ids.set(name, this.#names.length - 1);
    return this.#names.length - 1;
  }

  /** What was written under the old names is as good as written over. */
  #forgetNames(): void {
    this.#names = [];
    this.#ids.clear();
    this.#written += CELLS;
  }
}
