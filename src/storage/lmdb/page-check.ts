import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Told of every entry of a named table: its value as stored. */
export type EntryCheck = (table: string, value: Buffer) => void;

/** The data file is not what was written. `message` names the file, the place and what is wrong there. */
export class DamagedFileError extends Error {
  override readonly name = 'DamagedFileError';
}

// Offsets and flags of LMDB's file format, version 2 (64 bits, little endian).
const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const META = {
  magic: 24,
  version: 28,
  pageSize: 48,
  free: 48,
  main: 96,
  last: 144,
  txn: 152,
  end: 160,
};
const TREE = { flags: 4, depth: 6, entries: 32, root: 40, size: 48 };
const PAGE = { flags: 18, lower: 20, upper: 22, header: 24 };
const NODE = { flags: 4, keySize: 6, header: 8 };
const BRANCH = 0x01;
const LEAF = 0x02;
const OVERFLOW = 0x04;
const META_PAGE = 0x08;
const BIG_VALUE = 0x01;
const SUB_TREE = 0x02;
const NO_ROOT = 0xffff_ffff_ffff_ffffn;
const DEFAULT_PAGE = 4096;

interface Tree {
  readonly name: string;
  readonly root: bigint;
  readonly depth: number;
  readonly entries: number;
}

/** The keys that a subtree may hold: from `low` on, below `high`. */
interface Bounds {
  readonly low?: Buffer | undefined;
  readonly high?: Buffer | undefined;
}

/**
 * Walks every page that the newest snapshot of a data file reaches, before LMDB maps the file: LMDB believes what it
 * reads, so a torn or overwritten page would end the process or be taken for data. An empty file is a new one.
 */
export function checkDataFile(file: string, check: EntryCheck): void {
  const fd = openSync(file, 'r');
  try {
    if (fstatSync(fd).size > 0) new PageCheck(file, fd, check).run();
  } finally {
    closeSync(fd);
  }
}

class PageCheck {
  readonly #file: string;
  readonly #fd: number;
  readonly #check: EntryCheck;
  readonly #pages: number;
  readonly #pageSize: number;
  readonly #meta: Buffer;
  /** Pages that have been reached: none may be reached twice. */
  readonly #reached: Uint8Array;
  readonly #subTrees: Tree[] = [];
  readonly #freeLists: Buffer[] = [];
  #entries = 0;

  constructor(file: string, fd: number, check: EntryCheck) {
    this.#file = file;
    this.#fd = fd;
    this.#check = check;
    const metas = [0, this.#probePageSize()].map((at) => this.#read(at, META.end));
    const valid = metas.filter(isMeta);
    const newest = valid.sort((a, b) => (txnOf(a) < txnOf(b) ? 1 : -1))[0];
    if (!newest) throw this.#damaged('neither of its two head pages is valid');
    this.#meta = newest;
    this.#pageSize = newest.readUInt32LE(META.pageSize);
    this.#pages = Math.floor(fstatSync(fd).size / this.#pageSize);
    this.#reached = new Uint8Array(this.#pages);
  }

  run(): void {
    this.#walk(treeAt(this.#meta, META.free, FREE));
    this.#walk(treeAt(this.#meta, META.main, MAIN));
    for (const tree of this.#subTrees) this.#walk(tree);
    for (const list of this.#freeLists) this.#checkFree(list);
  }

  #probePageSize(): number {
    const first = this.#read(0, META.end);
    return isMeta(first) ? first.readUInt32LE(META.pageSize) : DEFAULT_PAGE;
  }

  #walk(tree: Tree): void {
    if (tree.root === NO_ROOT) return;
    this.#entries = 0;
    this.#visit(tree, tree.root, 1, {});
    if (this.#entries !== tree.entries) {
      throw this.#damaged(
        `table '${tree.name}' holds ${this.#entries} entries instead of ${tree.entries}`,
      );
    }
  }

  #visit(tree: Tree, number: bigint, depth: number, bounds: Bounds): void {
    const page = this.#page(number, depth === tree.depth ? LEAF : BRANCH);
    const keys = this.#nodes(page, number);
    // Keys of the free list are numbers, which do not sort like bytes.
    if (tree.name !== FREE) this.#checkOrder(page, keys, { number, bounds });
    if (depth === tree.depth) {
      for (const at of keys) this.#entry(tree, page, at);
      return;
    }
    for (const [index, at] of keys.entries()) {
      const next = keys[index + 1];
      this.#visit(tree, childOf(page, at), depth + 1, {
        low: index === 0 ? bounds.low : keyAt(page, at),
        high: next === undefined ? bounds.high : keyAt(page, next),
      });
    }
  }

  /** The page, if it says that it is this one and of this kind. */
  #page(number: bigint, kind: number): Buffer {
    const at = this.#reach(number);
    const page = this.#read(at * this.#pageSize, this.#pageSize);
    if (page.readBigUInt64LE(0) !== number || (page.readUInt16LE(PAGE.flags) & 0x2f) !== kind) {
      throw this.#damaged(`page ${number} is not the one that belongs there`);
    }
    return page;
  }

  #reach(number: bigint): number {
    const at = Number(number);
    if (at >= this.#pages) {
      throw this.#damaged(`it is cut off: page ${number} of ${this.#pages} is missing`);
    }
    if (at < 2 || this.#reached[at]) throw this.#damaged(`page ${number} is used twice`);
    this.#reached[at] = 1;
    return at;
  }

  /** Where the page's nodes are, in the order of their keys; all of them lie within the page. */
  #nodes(page: Buffer, number: bigint): number[] {
    const lower = page.readUInt16LE(PAGE.lower);
    const upper = page.readUInt16LE(PAGE.upper);
    const room = this.#pageSize - PAGE.header;
    if (lower % 2 !== 0 || lower > upper || upper > room || lower === 0) {
      throw this.#damaged(`page ${number} has impossible bounds`);
    }
    const nodes: number[] = [];
    for (let i = 0; i < lower; i += 2) {
      const offset = page.readUInt16LE(PAGE.header + i);
      const at = offset + PAGE.header;
      if (offset < upper || offset + NODE.header > room || !this.#fits(page, at)) {
        throw this.#damaged(`page ${number} has an entry that reaches out of it`);
      }
      nodes.push(at);
    }
    return nodes;
  }

  #fits(page: Buffer, at: number): boolean {
    const isLeaf = (page.readUInt16LE(PAGE.flags) & LEAF) !== 0;
    const big = (page.readUInt16LE(at + NODE.flags) & BIG_VALUE) !== 0;
    const value = isLeaf ? (big ? 8 : page.readUInt32LE(at)) : 0;
    const size = NODE.header + page.readUInt16LE(at + NODE.keySize) + value;
    return at + size <= this.#pageSize;
  }

  #checkOrder(page: Buffer, nodes: number[], where: { number: bigint; bounds: Bounds }): void {
    const { low, high } = where.bounds;
    const isBranch = (page.readUInt16LE(PAGE.flags) & BRANCH) !== 0;
    let previous: Buffer | undefined;
    for (const [index, at] of nodes.entries()) {
      // The first key of a branch page is left empty.
      if (isBranch && index === 0) continue;
      const key = keyAt(page, at);
      const isBehind = previous === undefined || previous.compare(key) < 0;
      if (!isBehind || (low && low.compare(key) > 0) || (high && high.compare(key) <= 0)) {
        throw this.#damaged(`page ${where.number} holds keys out of order`);
      }
      previous = key;
    }
  }

  #entry(tree: Tree, page: Buffer, at: number): void {
    this.#entries++;
    const flags = page.readUInt16LE(at + NODE.flags);
    const size = page.readUInt32LE(at);
    const start = at + NODE.header + page.readUInt16LE(at + NODE.keySize);
    const isTable = tree.name === MAIN && flags === SUB_TREE && size === TREE.size;
    if (isTable && page.readUInt16LE(start + TREE.flags) === 0) {
      this.#subTrees.push(treeAt(page, start, tableName(keyAt(page, at))));
    } else if (flags === BIG_VALUE) {
      this.#value(tree, this.#overflow(page.readBigUInt64LE(start), size));
    } else if (flags === 0) {
      this.#value(tree, page.subarray(start, start + size));
    } else {
      throw this.#damaged(`an entry of '${tree.name}' is of an unknown kind`);
    }
  }

  #value(tree: Tree, value: Buffer): void {
    if (tree.name === FREE) this.#freeLists.push(value);
    else this.#check(tree.name, value);
  }

  /** What LMDB may write over must be nothing that is in use, nor be listed twice. */
  #checkFree(list: Buffer): void {
    const last = this.#meta.readBigUInt64LE(META.last);
    for (const { first, count } of this.#freeRanges(list)) {
      if (first < 2n || count > last || first + count - 1n > last) {
        throw this.#damaged(`the free page ${first} is none of its pages`);
      }
      // Free pages at the end may not have been written yet.
      const end = Math.min(Number(first + count), this.#pages);
      for (let at = Number(first); at < end; at++) this.#reach(BigInt(at));
    }
  }

  /** A list: its length, then page numbers; 0 is a gap, a negative number says how many pages begin at the next. */
  *#freeRanges(list: Buffer): Iterable<{ first: bigint; count: bigint }> {
    const fits = BigInt(Math.floor(list.length / 8) - 1);
    const length = list.length < 8 ? -1n : list.readBigInt64LE(0);
    if (length < 0n || length > fits) throw this.#damaged('a list of free pages is cut off');
    const end = 8 * (Number(length) + 1);
    for (let at = 8; at < end; at += 8) {
      const entry = list.readBigInt64LE(at);
      if (entry === 0n) continue;
      if (entry > 0n) {
        yield { first: entry, count: 1n };
        continue;
      }
      at += 8;
      if (at >= end) throw this.#damaged('a list of free pages is cut off');
      yield { first: list.readBigInt64LE(at), count: -entry };
    }
  }

  /** A value that has pages of its own. */
  #overflow(number: bigint, size: number): Buffer {
    const count = Math.ceil((PAGE.header + size) / this.#pageSize);
    const head = this.#page(number, OVERFLOW);
    if (head.readUInt32LE(PAGE.lower) < count) {
      throw this.#damaged(`the value on page ${number} is longer than its pages`);
    }
    for (let i = 1; i < count; i++) this.#reach(number + BigInt(i));
    return this.#read(Number(number) * this.#pageSize + PAGE.header, size);
  }

  #read(at: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    if (readSync(this.#fd, buffer, 0, length, at) === length) return buffer;
    throw this.#damaged(`it is cut off: it ends before byte ${at + length}`);
  }

  #damaged(what: string): DamagedFileError {
    return new DamagedFileError(`${this.#file} is damaged: ${what}`);
  }
}

const FREE = 'free pages';
const MAIN = 'tables';

function isMeta(page: Buffer): boolean {
  return (
    (page.readUInt16LE(PAGE.flags) & META_PAGE) !== 0 &&
    page.readUInt32LE(META.magic) === MAGIC &&
    (page.readUInt32LE(META.version) & 0xffff) === FORMAT &&
    isPageSize(page.readUInt32LE(META.pageSize))
  );
}

function isPageSize(size: number): boolean {
  return size >= 512 && size <= 65536 && (size & (size - 1)) === 0;
}

function txnOf(meta: Buffer): bigint {
  return meta.readBigUInt64LE(META.txn);
}

function treeAt(page: Buffer, at: number, name: string): Tree {
  return {
    name,
    root: page.readBigUInt64LE(at + TREE.root),
    depth: page.readUInt16LE(at + TREE.depth),
    entries: Number(page.readBigUInt64LE(at + TREE.entries)),
  };
}

function keyAt(page: Buffer, at: number): Buffer {
  const start = at + NODE.header;
  return page.subarray(start, start + page.readUInt16LE(at + NODE.keySize));
}

/** The page below a branch's node: 48 bits, the highest where a leaf has its flags. */
function childOf(page: Buffer, at: number): bigint {
  return (BigInt(page.readUInt16LE(at + NODE.flags)) << 32n) | BigInt(page.readUInt32LE(at));
}

/** Table names end with a zero byte. */
function tableName(key: Buffer): string {
  return key.toString('latin1').replace(/\0+$/, '');
}
