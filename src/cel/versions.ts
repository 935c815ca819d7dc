import type { Environment } from '@marcbachmann/cel-js';
import { definer } from './define.ts';

const TYPE = 'kubernetes.Semver';
const SHAPE =
  /^(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

class Semver {
  readonly numbers: readonly bigint[];
  readonly prerelease: readonly string[];

  constructor(text: string) {
    const found = SHAPE.exec(text);
    if (!found) throw new RangeError(`invalid semantic version: ${text}`);
    this.numbers = found.slice(1, 4).map((part) => BigInt(part ?? 0));
    this.prerelease = found[4]?.split('.') ?? [];
  }
}

/** A version as a value of CEL. Throws RangeError. */
export function celVersion(text: string): unknown {
  return new Semver(text);
}

/** Semantic versions (apiserver cel/library semverlib.go). */
export function addVersions(environment: Environment): void {
  environment.registerType(TYPE, Semver);
  const define = definer(environment);
  define('isSemver(string): bool', (text: string) => SHAPE.test(text));
  define('isSemver(string, bool): bool', (text: string, loose: boolean) =>
    SHAPE.test(loose ? normalized(text) : text),
  );
  define(`semver(string): ${TYPE}`, (text: string) => new Semver(text));
  define(
    `semver(string, bool): ${TYPE}`,
    (text: string, loose: boolean) => new Semver(loose ? normalized(text) : text),
  );
  ['major', 'minor', 'patch'].forEach((name, i) => {
    define(`${TYPE}.${name}(): int`, ({ numbers }: Semver) => numbers[i] ?? 0n);
  });
  const compared = (name: string, result: string, of: (order: number) => unknown) =>
    define(`${TYPE}.${name}(${TYPE}): ${result}`, (a: Semver, b: Semver) => of(compare(a, b)));
  compared('isLessThan', 'bool', (order) => order < 0);
  compared('isGreaterThan', 'bool', (order) => order > 0);
  compared('compareTo', 'int', (order) => BigInt(order));
}

/** `v1.02` → `1.2.0`. */
function normalized(text: string): string {
  const [core = '', ...rest] = text.replace(/^v/, '').split(/(?=[-+])/);
  const parts = core.split('.').map((part) => part.replace(/^0+(?=\d)/, ''));
  while (parts.length < 3) parts.push('0');
  return parts.join('.') + rest.join('');
}

function compare(a: Semver, b: Semver): number {
  for (const [i, number] of a.numbers.entries()) {
    const other = b.numbers[i] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return Math.sign(b.prerelease.length - a.prerelease.length);
  }
  for (const [i, part] of a.prerelease.entries()) {
    const other = b.prerelease[i];
    if (other === undefined) return 1;
    if (part !== other) return comparePart(part, other);
  }
  return a.prerelease.length === b.prerelease.length ? 0 : -1;
}

function comparePart(a: string, b: string): number {
  const [left, right] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (left && right) return BigInt(a) < BigInt(b) ? -1 : 1;
  if (left !== right) return left ? -1 : 1;
  return a < b ? -1 : 1;
}
