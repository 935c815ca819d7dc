import { run } from './exec.ts';

export interface Ipset {
  /** What `ipset save` prints for all sets. */
  save(signal?: AbortSignal): Promise<Map<string, Set<string>>>;
  /** Applies lines of `ipset restore`; what is there already, or gone already, is fine. */
  restore(lines: readonly string[], signal?: AbortSignal): Promise<void>;
}

export const ipset: Ipset = {
  async save(signal) {
    return parseSets((await run('ipset', ['save'], {}, signal)).stdout);
  },
  async restore(lines, signal) {
    if (lines.length === 0) return;
    await run('ipset', ['restore', '-exist'], { input: `${lines.join('\n')}\n` }, signal);
  },
};

/** The entries of each set in the output of `ipset save`. */
export function parseSets(saved: string): Map<string, Set<string>> {
  const sets = new Map<string, Set<string>>();
  for (const line of saved.split('\n')) {
    const [verb, name = '', entry = ''] = line.split(' ');
    if (verb === 'create') sets.set(name, new Set());
    else if (verb === 'add') sets.get(name)?.add(entry);
  }
  return sets;
}
