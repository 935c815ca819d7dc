import { familyOf } from '../../util/ip.ts';

/** Equal parts of a network, handed out in order, never two at once. */
export class CidrSet {
  readonly #base: bigint;
  readonly #maskSize: number;
  readonly #bits: number;
  readonly #count: bigint;
  readonly #used = new Set<bigint>();
  #next = 0n;

  /** Throws RangeError when `cidr` is none or has no room for one part. */
  constructor(cidr: string, maskSize: number) {
    const [network = '', prefix = ''] = cidr.split('/');
    const family = familyOf(network);
    this.#bits = family === 6 ? 128 : 32;
    const length = Number(prefix);
    if (
      family === undefined ||
      !/^\d+$/.test(prefix) ||
      maskSize < length ||
      maskSize > this.#bits
    ) {
      throw new RangeError(`No networks of ${maskSize} bits in ${JSON.stringify(cidr)}`);
    }
    this.#maskSize = maskSize;
    const size = BigInt(this.#bits - length);
    this.#base = (parseAddress(network) >> size) << size;
    this.#count = 1n << BigInt(Math.min(maskSize - length, 32));
  }

  /** The next free part; undefined when there is none left. */
  take(): string | undefined {
    for (let i = 0n; i < this.#count; i++) {
      const index = (this.#next + i) % this.#count;
      if (this.#used.has(index)) continue;
      this.#used.add(index);
      this.#next = index + 1n;
      return this.#partAt(index);
    }
    return undefined;
  }

  /** A part that somebody has already; others' networks are of no concern here. */
  occupy(part: string): void {
    const index = this.#indexOf(part);
    if (index !== undefined) this.#used.add(index);
  }

  release(part: string): void {
    const index = this.#indexOf(part);
    if (index !== undefined) this.#used.delete(index);
  }

  #shift(): bigint {
    return BigInt(this.#bits - this.#maskSize);
  }

  #partAt(index: bigint): string {
    const address = this.#base + (index << this.#shift());
    return `${formatAddress(address, this.#bits)}/${this.#maskSize}`;
  }

  #indexOf(part: string): bigint | undefined {
    const [network = ''] = part.split('/');
    if (familyOf(network) !== (this.#bits === 32 ? 4 : 6)) return undefined;
    const index = (parseAddress(network) - this.#base) >> this.#shift();
    return index >= 0n && index < this.#count ? index : undefined;
  }
}

function parseAddress(text: string): bigint {
  if (!text.includes(':')) {
    return text.split('.').reduce((sum, part) => (sum << 8n) + BigInt(part), 0n);
  }
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return groups.reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
}

function formatAddress(address: bigint, bits: number): string {
  if (bits === 32) {
    return [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 255n)).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((address >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  // RFC 5952: the longest run of zero groups becomes `::`.
  return groups.join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
}
