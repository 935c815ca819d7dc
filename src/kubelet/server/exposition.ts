export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** When it was measured, RFC 3339; absent is now. */
  readonly time?: string | undefined;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

/** Prometheus' text format, version 0.0.4, of values that were measured elsewhere. Empty families are left out. */
export function exposition(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(
      ({ name, help, type, samples }) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.map((s) => line(name, s)).join('')}`,
    )
    .join('');
}

function line(name: string, { labels, value, time }: Sample): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  const shown = pairs.length > 0 ? `{${pairs.join(',')}}` : '';
  return `${name}${shown} ${value}${time === undefined ? '' : ` ${Date.parse(time)}`}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
