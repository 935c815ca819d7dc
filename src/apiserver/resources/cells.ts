import { formatLabelSelector } from '../../api/labels.ts';
import type { Container, LabelSelector } from '../../api/types.ts';

/** Age as kubectl writes it: `5s`, `3m20s`, `7h12m`, `4d6h`, `400d`; `<unknown>` without a time. */
export function age(time: string | undefined, now: number): string {
  if (!time) return '<unknown>';
  return humanDuration((now - Date.parse(time)) / 1000);
}

/** A span of seconds, with two units where one would be too coarse (apimachinery util/duration). */
export function humanDuration(span: number): string {
  const seconds = Math.trunc(span);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  return humanDays(hours);
}

function humanDays(hours: number): string {
  const days = Math.trunc(hours / 24);
  if (hours < 192) return pair(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.trunc(days / 365);
  return years < 8 ? pair(years, 'y', days % 365, 'd') : `${years}y`;
}

function pair(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smallUnit}`;
}

export function orNone(text: string | undefined): string {
  return text === undefined || text === '' ? '<none>' : text;
}

/** `a=1,b=2` in order of the keys; `<none>` when empty. */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const parts = Object.keys(labels ?? {})
    .sort()
    .map((key) => `${key}=${labels?.[key]}`);
  return parts.length === 0 ? '<none>' : parts.join(',');
}

export function formatSelector(selector: LabelSelector | undefined): string {
  return selector === undefined ? '<none>' : orNone(formatLabelSelector(selector));
}

export function containerNames(containers: readonly Container[] | undefined): string {
  return (containers ?? []).map((c) => c.name).join(',');
}

export function containerImages(containers: readonly Container[] | undefined): string {
  return (containers ?? []).map((c) => c.image ?? '').join(',');
}

/** A duration between two times, for Jobs: `17s`. */
export function between(from: string, to: string): string {
  return humanDuration((Date.parse(to) - Date.parse(from)) / 1000);
}

/** Booleans that may be unset, as Go prints them. */
export function printBool(value: boolean | undefined): string {
  if (value === undefined) return '<unset>';
  return value ? 'True' : 'False';
}
