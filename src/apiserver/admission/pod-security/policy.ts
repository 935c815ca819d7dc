import { BASELINE } from './baseline.ts';
import type { Check, PodFacts, Violation } from './check.ts';
import { RESTRICTED } from './restricted.ts';

export const LEVELS = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof LEVELS)[number];

/** A level at the state of one version. */
export interface LevelVersion {
  readonly level: Level;
  /** `latest` or `v1.N`. */
  readonly version: string;
}

/** The three modes of a namespace. */
export interface Policy {
  readonly enforce: LevelVersion;
  readonly audit: LevelVersion;
  readonly warn: LevelVersion;
}

export const MODES = ['enforce', 'audit', 'warn'] as const;
export type Mode = (typeof MODES)[number];

export const LABEL_PREFIX = 'pod-security.kubernetes.io/';
const LATEST = Number.POSITIVE_INFINITY;

/** What a namespace's labels ask for; what they say wrongly is told, and falls back: to `restricted` for a bad level. */
export function policyOf(
  labels: Readonly<Record<string, string>>,
  defaults: Policy,
): { policy: Policy; errors: { field: string; value: string; why: string }[] } {
  const errors: { field: string; value: string; why: string }[] = [];
  const read = (mode: Mode): LevelVersion => {
    const [levelKey, versionKey] = [LABEL_PREFIX + mode, `${LABEL_PREFIX}${mode}-version`];
    const { level: defaultLevel, version: defaultVersion } = defaults[mode];
    let level = labels[levelKey] ?? defaultLevel;
    let version = labels[versionKey] ?? defaultVersion;
    if (!isLevel(level)) {
      const why = `must be one of ${LEVELS.join(', ')}`;
      errors.push({ field: levelKey, value: level, why });
      // Nobody gets more by a misspelt word: audit and warn only stay silent.
      level = mode === 'enforce' ? 'restricted' : 'privileged';
    }
    if (minorOf(version) === undefined) {
      const why = `must be "latest" or "v1.x"`;
      errors.push({ field: versionKey, value: version, why });
      version = 'latest';
    }
    return { level: level as Level, version };
  };
  const policy = { enforce: read('enforce'), audit: read('audit'), warn: read('warn') };
  return { policy, errors };
}

export function isLevel(text: string): text is Level {
  return (LEVELS as readonly string[]).includes(text);
}

/** The minor version that `latest` or `v1.N` stands for; undefined for anything else. */
export function minorOf(version: string): number | undefined {
  if (version === 'latest') return LATEST;
  const found = /^v1\.(0|[1-9]\d*)$/.exec(version);
  return found ? Number(found[1]) : undefined;
}

/** Everything about a Pod that its policy forbids, in upstream's order. Pure. */
export function violationsOf({ level, version }: LevelVersion, pod: PodFacts): Violation[] {
  const minor = minorOf(version) ?? LATEST;
  return checksOf(level, minor).flatMap((check) => check.judge(pod, minor) ?? []);
}

function checksOf(level: Level, minor: number): Check[] {
  if (level === 'privileged') return [];
  const known = (check: Check): boolean => check.since <= minor;
  const baseline = BASELINE.filter(known);
  if (level === 'baseline') return baseline;
  const restricted = RESTRICTED.filter(known);
  const replaced = new Set(restricted.map((check) => check.replaces));
  return [...baseline.filter((check) => !replaced.has(check)), ...restricted];
}

/** `restricted:latest` */
export function levelText({ level, version }: LevelVersion): string {
  return `${level}:${version}`;
}

/** `privileged (container "a" must not …), runAsNonRoot != true (…)` */
export function violationText(violations: readonly Violation[]): string {
  return violations.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
}
