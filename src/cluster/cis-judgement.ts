export type Verdict = 'pass' | 'fail' | 'n/a';

export interface Judgement {
  readonly verdict: Verdict;
  readonly reason: string;
}

export function when(holds: boolean, reason: string): Judgement {
  return { verdict: holds ? 'pass' : 'fail', reason };
}

/** Passes when there are no offenders; `of` says what they do. */
export function unless(offenders: readonly string[], good: string, of: string): Judgement {
  return offenders.length === 0 ? when(true, good) : when(false, `${of}: ${shown(offenders)}`);
}

export function notApplicable(reason: string): Judgement {
  return { verdict: 'n/a', reason };
}

const SHOWN = 5;

function shown(names: readonly string[]): string {
  const all = [...new Set(names)].sort();
  const rest = all.length - SHOWN;
  return rest > 0 ? `${all.slice(0, SHOWN).join(', ')} and ${rest} more` : all.join(', ');
}
