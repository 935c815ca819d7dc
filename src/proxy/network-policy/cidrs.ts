import { isIPv4 } from 'node:net';
import { familyOf } from '../../util/ip.ts';

/** A network as numbers: the first address, and how many leading bits it fixes. */
interface Block {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly bits: number;
}

/** `cidr` without those parts of it that lie in `except`, as the fewest CIDRs. Malformed ones count as empty. */
export function subtractCidrs(cidr: string, except: readonly string[]): string[] {
  const whole = parseBlock(cidr);
  if (!whole) return [];
  let left = [whole];
  for (const hole of except.map(parseBlock)) {
    if (hole) left = left.flatMap((block) => without(block, hole));
  }
  return left.map(format);
}

/** The same addresses in as few CIDRs as nesting allows, sorted: none lies in another. */
export function mergeCidrs(cidrs: Iterable<string>): string[] {
  const distinct = [...new Set(cidrs)];
  // Thousands of Pods' addresses, which the API server has in one spelling, need no arithmetic.
  if (!distinct.some((cidr) => cidr.includes('/'))) return distinct.sort();
  const blocks = distinct.flatMap((cidr) => parseBlock(cidr) ?? []);
  blocks.sort((a, b) => a.family - b.family || compare(a.first, b.first) || a.bits - b.bits);
  const kept: Block[] = [];
  for (const block of blocks) {
    const last = kept.at(-1);
    if (!last || !covers(last, block)) kept.push(block);
  }
  return kept.map(format);
}

/** Halves the block until the hole is one of the pieces. */
function without(block: Block, hole: Block): Block[] {
  if (covers(hole, block)) return [];
  if (!covers(block, hole)) return [block];
  const bits = block.bits + 1;
  const half = 1n << BigInt(widthOf(block.family) - bits);
  const lower = { ...block, bits };
  const upper = { ...block, bits, first: block.first + half };
  return [...without(lower, hole), ...without(upper, hole)];
}

function covers(outer: Block, inner: Block): boolean {
  if (outer.family !== inner.family || outer.bits > inner.bits) return false;
  const shift = BigInt(widthOf(outer.family) - outer.bits);
  return outer.first >> shift === inner.first >> shift;
}

function parseBlock(cidr: string): Block | undefined {
  const [address = '', prefix] = cidr.split('/');
  const family = familyOf(address);
  if (family === undefined) return undefined;
  const bits = prefix === undefined ? widthOf(family) : Number(prefix);
  if (!Number.isInteger(bits) || bits < 0 || bits > widthOf(family)) return undefined;
  const shift = BigInt(widthOf(family) - bits);
  return { family, bits, first: (toNumber(address) >> shift) << shift };
}

function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function toNumber(address: string): bigint {
  if (isIPv4(address)) return joined(address.split('.').map(Number), 8n);
  const [head = '', tail] = withoutDots(address).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  const groups = [...before, ...gap, ...after].map((group) => Number.parseInt(group, 16));
  return joined(groups, 16n);
}

/** `::ffff:10.0.0.1` with its last part in hexadecimal. */
function withoutDots(address: string): string {
  return address.replace(/\d+(\.\d+){3}$/, (v4) => {
    const number = joined(v4.split('.').map(Number), 8n);
    return `${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}`;
  });
}

function joined(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n);
}

function format({ family, first, bits }: Block): string {
  const [size, parts] = family === 4 ? [8n, 4] : [16n, 8];
  const fields = Array.from({ length: parts }, (_, index) => {
    const shift = size * BigInt(parts - 1 - index);
    return (first >> shift) & ((1n << size) - 1n);
  });
  const text = family === 4 ? fields.join('.') : compressed(fields.map((f) => f.toString(16)));
  return bits === widthOf(family) ? text : `${text}/${bits}`;
}

/** The longest run of zero groups, of two at least, becomes `::` (RFC 5952). */
function compressed(groups: readonly string[]): string {
  const text = groups.join(':');
  const runs = [...text.matchAll(/(?<=^|:)0(?::0)+(?=:|$)/g)];
  const longest = runs.sort((a, b) => b[0].length - a[0].length || a.index - b.index)[0];
  if (!longest) return text;
  const before = text.slice(0, longest.index).replace(/:$/, '');
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
