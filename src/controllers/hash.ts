// No vowels and no digits that look like them: a hash never spells a word (apimachinery util/rand).
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * A short name for a value, in the form of upstream's pod-template-hash and controller-revision-hash: FNV-1a, 32 bits,
 * decimal digits spelt in a safe alphabet. The value itself is upstream's only in form, since upstream hashes Go's
 * memory layout. `collisions` makes another name for the same value.
 */
export function safeHash(value: unknown, collisions?: number): string {
  const text = canonical(value) + (collisions === undefined ? '' : `#${collisions}`);
  return safeEncode(String(fnv1a(text)));
}

/** FNV-1a, 32 bits, over UTF-8. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}

/** Each character as one of the safe alphabet. */
function safeEncode(text: string): string {
  return [...text].map((c) => ALPHABET[c.charCodeAt(0) % ALPHABET.length]).join('');
}

/** JSON with sorted keys and without empty values: equal objects give equal texts. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined && field !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
}
