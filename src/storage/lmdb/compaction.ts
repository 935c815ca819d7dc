import type { Batch } from './batch.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Tables } from './tables.ts';

// Small steps: each shares a commit with the writes of its moment, and holds the event loop for a millisecond.
const STEP = 200;

/**
 * Forgets what was overwritten or removed at or before `revision`. The newest state of each key stays, so that
 * the first event behind `revision` still finds its predecessor. Resumes by itself: `swept` is where the
 * last run ended.
 */
export async function compactTables(
  tables: Tables,
  commits: GroupCommit,
  revision: number,
): Promise<void> {
  if (revision <= tables.compacted) return;
  // First the promise, then the deed: nobody may start to read what is about to go.
  await commits.run((batch) => batch.note('compacted', revision));
  let swept = tables.fact('swept') ?? 0;
  while (swept < revision) {
    const from = swept;
    swept = await commits.run((batch) => sweep(tables, batch, { from, revision }));
    await new Promise(setImmediate);
  }
}

function sweep(
  tables: Tables,
  batch: Batch,
  { from, revision }: { from: number; revision: number },
): number {
  let last = from;
  let steps = 0;
  for (const at of tables.log.getKeys({ start: from + 1, end: revision + 1, limit: STEP })) {
    last = at;
    steps++;
    const record = tables.record(at);
    if (!record) continue;
    if (record.previous > 0) batch.forgetRecord(record.previous);
    if (record.value) continue;
    batch.forgetRecord(at);
    if (batch.head(record.key)?.revision === at) batch.forgetKey(record.key);
  }
  const swept = steps < STEP ? revision : last;
  batch.note('swept', swept);
  return swept;
}
