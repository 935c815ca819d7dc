export type Table = 'filter' | 'nat' | 'mangle';

/** Where a built-in chain must lead to one of ours. */
export interface Jump {
  readonly table: Table;
  readonly from: string;
  readonly rule: string;
}

/** Empty chains whose loss tells that somebody flushed the tables. */
export const CANARY = 'KUBE-PROXY-CANARY';
export const CANARY_TABLES: readonly Table[] = ['mangle', 'nat', 'filter'];

/** What `iptables-save` says is there: per table the chains and the rules, each `-A CHAIN …`. */
export type Saved = Record<string, { chains: Set<string>; rules: string[] }>;

export function parseSave(text: string): Saved {
  const saved: Saved = {};
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = line.slice(1).trim();
      saved[table] = { chains: new Set(), rules: [] };
    } else if (line.startsWith(':')) {
      saved[table]?.chains.add(line.slice(1, line.indexOf(' ')));
    } else if (line.startsWith('-A ')) saved[table]?.rules.push(line);
    else if (line.startsWith('[')) saved[table]?.rules.push(line.slice(line.indexOf(']') + 2));
  }
  return saved;
}

/**
 * `iptables-restore --noflush` input that writes the given chains (keys `TABLE CHAIN`) from scratch and deletes others.
 * A chain must not be referred to when it goes, so deletions come last.
 */
export function changeInput(
  write: ReadonlyMap<string, readonly string[]>,
  remove: readonly string[],
): string {
  return render(sections(write, remove));
}

/** What must be there in full: chains with their rules by `TABLE CHAIN`, and the jumps that lead to them. */
export interface WholeRules {
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly jumps: readonly Jump[];
}

/**
 * Input that brings a kernel in unknown state to exactly `chains`: canaries, missing jumps, and no chain of
 * the nat table that `mayBeStale`.
 */
export function fullInput(
  { chains, jumps }: WholeRules,
  saved: Saved,
  mayBeStale: (chain: string) => boolean = () => false,
): string {
  const stale = [...(saved.nat?.chains ?? [])].filter(
    (chain) => mayBeStale(chain) && !chains.has(`nat ${chain}`),
  );
  const parts = sections(chains, stale);
  for (const table of CANARY_TABLES) section(parts, table).heads.push(chainLine(CANARY));
  for (const { table, from, rule } of jumps) {
    const have = saved[table]?.rules.includes(`-A ${from} ${rule}`);
    if (!have) section(parts, table).rules.push(`-I ${from} ${rule}`);
  }
  return render(parts);
}

/** Input that removes every chain and jump of ours. */
export function cleanupInput(
  saved: Saved,
  isOurs: (table: string, chain: string) => boolean,
): string {
  const parts = new Map<string, Section>();
  for (const [table, { chains, rules }] of Object.entries(saved)) {
    const ours = [...chains].filter((chain) => chain === CANARY || isOurs(table, chain));
    if (ours.length === 0) continue;
    const { heads, rules: lines } = section(parts, table);
    const gone = new Set(ours);
    for (const rule of rules) {
      const [, chain = ''] = rule.split(' ', 2);
      const target = / -[jg] (\S+)/.exec(rule)?.[1];
      if (target !== undefined && gone.has(target) && !gone.has(chain))
        lines.push(`-D${rule.slice(2)}`);
    }
    for (const chain of ours) {
      heads.push(chainLine(chain));
      lines.push(`-X ${chain}`);
    }
  }
  return render(parts);
}

interface Section {
  readonly heads: string[];
  readonly rules: string[];
}

function sections(
  write: ReadonlyMap<string, readonly string[]>,
  remove: readonly string[],
): Map<string, Section> {
  const parts = new Map<string, Section>();
  for (const [key, lines] of write) {
    const [table = '', chain = ''] = key.split(' ');
    const { heads, rules } = section(parts, table);
    heads.push(chainLine(chain));
    for (const line of lines) rules.push(`-A ${chain} ${line}`);
  }
  for (const chain of remove) {
    const { heads, rules } = section(parts, 'nat' satisfies Table);
    heads.push(chainLine(chain)); // Naming a chain empties it; only an empty one can be deleted.
    rules.push(`-X ${chain}`);
  }
  return parts;
}

function section(parts: Map<string, Section>, table: string): Section {
  const known = parts.get(table) ?? { heads: [], rules: [] };
  parts.set(table, known);
  return known;
}

function chainLine(chain: string): string {
  return `:${chain} - [0:0]`;
}

function render(parts: ReadonlyMap<string, Section>): string {
  let text = '';
  for (const [table, { heads, rules }] of parts) {
    text += `*${table}\n`;
    for (const line of heads) text += `${line}\n`;
    for (const line of rules) text += `${line}\n`;
    text += 'COMMIT\n';
  }
  return text;
}
