import { readFileSync } from 'node:fs';

/** Bit of CAP_SETPCAP (capabilities(7)). */
const SETPCAP = 8n;

/**
 * The words before a command line that take every capability from the program, for good (setpriv(1)): it stays root over
 * root's files, and over nothing else. None where this process may not do that.
 */
export function confinement(status = readFileSync('/proc/self/status', 'utf8')): readonly string[] {
  const held = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  if (((held >> SETPCAP) & 1n) === 0n) return [];
  return ['setpriv', '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all'];
}
