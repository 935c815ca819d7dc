import type { Tables } from './tables.ts';

// Small steps: each is one transaction on the event loop's thread.
const STEP = 500;

/**
 * Forgets what was overwritten or removed at or before `revision`. The newest state of each key stays, so that
 * the first event behind `revision` still finds its predecessor. Resumes by itself: `swept` is where the
 * last run ended.
 */
export async function compactTables(tables: Tables, revision: number): Promise<void> {
  if (revision <= tables.compacted) return;
  let swept = tables.facts.get('swept') ?? 0;
  // First the promise, then the deed: nobody may start to read what is about to go.
  await tables.facts.put('compacted', revision);
  while (swept < revision) {
    const from = swept;
    swept = await tables.root.transaction(() => sweep(tables, from, revision));
  }
}

function sweep(tables: Tables, from: number, revision: number): number {
  let last = from;
  let steps = 0;
  for (const at of tables.log.getKeys({ start: from + 1, end: revision + 1, limit: STEP })) {
    last = at;
    steps++;
    const record = tables.record(at);
    if (!record) continue;
    if (record.previous > 0) tables.log.removeSync(record.previous);
    if (record.value) continue;
    tables.log.removeSync(at);
    if (tables.head(record.key)?.revision === at) tables.heads.removeSync(record.key);
  }
  const swept = steps < STEP ? revision : last;
  tables.facts.putSync('swept', swept);
  return swept;
}
