/** What a look at one thing has shown. */
export interface Finding {
  /** The component or thing that was looked at: `apiserver`, `certificates`. */
  readonly about: string;
  readonly ok: boolean;
  /** What is, in one sentence. */
  readonly what: string;
  /** The next command, or what to change; only where something is wrong. */
  readonly next?: string;
}

export const good = (about: string, what: string): Finding => ({ about, ok: true, what });

export const bad = (about: string, what: string, next: string): Finding => ({
  ...{ about, ok: false, what, next },
});

/** Lines for people: what is well in one line each, what is not with the next command below. */
export function render(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ about }) => about.length));
  return findings
    .flatMap(({ about, ok, what, next }) => [
      `${ok ? 'ok   ' : 'WRONG'}  ${about.padEnd(width)}  ${what}`,
      ...(next === undefined ? [] : [`${' '.repeat(width + 9)}next: ${next}`]),
    ])
    .join('\n');
}
