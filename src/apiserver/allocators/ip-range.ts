import { isIPv4, isIPv6 } from 'node:net';

/** The addresses of a CIDR that may be given away: without its first (the network) and, for IPv4, its last. */
export interface IpRange {
  readonly cidr: string;
  readonly family: 'IPv4' | 'IPv6';
  /** The first address after the network's own. */
  readonly first: bigint;
  /** How many addresses there are. */
  readonly size: bigint;
}

// Upstream counts no further in IPv6 ranges.
const MAX_SIZE = 1n << 62n;

/** Undefined for what is no CIDR. */
export function parseRange(cidr: string): IpRange | undefined {
  const [address = '', bits = ''] = cidr.split('/');
  const family = isIPv4(address) ? 'IPv4' : isIPv6(address) ? 'IPv6' : undefined;
  if (!family || !/^\d{1,3}$/.test(bits)) return undefined;
  const width = family === 'IPv4' ? 32 : 128;
  if (Number(bits) > width) return undefined;
  const host = BigInt(width - Number(bits));
  const network = (toNumber(address) >> host) << host;
  const all = 1n << host;
  const usable = family === 'IPv4' ? all - 2n : all - 1n;
  const size = usable < 0n ? 0n : usable > MAX_SIZE ? MAX_SIZE : usable;
  return { cidr, family, first: network + 1n, size };
}

export function contains(range: IpRange, address: string): boolean {
  if (range.family !== (isIPv4(address) ? 'IPv4' : 'IPv6')) return false;
  const offset = toNumber(address) - range.first;
  return offset >= 0n && offset < range.size;
}

/** The address `offset` steps behind the first. */
export function addressAt(range: IpRange, offset: bigint): string {
  return toText(range.first + offset, range.family);
}

/**
 * How many addresses at the start of a range are left to those who ask for them by name: a sixteenth, at least 16 and
 * at most 256 (KEP-3070).
 */
export function staticBand({ size }: IpRange): bigint {
  const sixteenth = size / 16n;
  const band = sixteenth < 16n ? 16n : sixteenth > 256n ? 256n : sixteenth;
  return band < size ? band : 0n;
}

/** The one form in which an address is written. */
export function canonical(address: string): string {
  return toText(toNumber(address), isIPv4(address) ? 'IPv4' : 'IPv6');
}

function toNumber(address: string): bigint {
  if (isIPv4(address)) {
    return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  }
  const [head = '', tail] = address.split('::');
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array<bigint>(Math.max(0, 8 - left.length - right.length)).fill(0n);
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) + group, 0n);
}

function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const v4 = toNumber(group);
    return [v4 >> 16n, v4 & 0xffffn];
  });
}

function toText(value: bigint, family: 'IPv4' | 'IPv6'): string {
  if (family === 'IPv4') {
    return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  // A URL's host is written as RFC 5952 says.
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
