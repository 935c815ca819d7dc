/** Prints rows below their headings, each column as wide as its heading or 9 characters. */
export function printer(
  headings: readonly string[],
): (cells: readonly (string | number)[]) => void {
  const widths = headings.map((heading) => Math.max(9, heading.length));
  const print = (cells: readonly (string | number)[]): void => {
    const line = cells.map((cell, i) => String(cell).padStart(widths[i] ?? 9)).join('  ');
    console.log(line.trimEnd());
  };
  print(headings);
  return print;
}

export function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
}
