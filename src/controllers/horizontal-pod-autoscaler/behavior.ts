import type { HorizontalPodAutoscaler } from '../../api/types.ts';

type Behavior = NonNullable<NonNullable<HorizontalPodAutoscaler['spec']>['behavior']>;
type Rules = NonNullable<Behavior['scaleUp']>;
type Policy = NonNullable<Rules['policies']>[number];

/** What was recommended, or by how much the target was scaled, and when (milliseconds). */
export interface Entry {
  readonly at: number;
  readonly replicas: number;
}

/** What an autoscaler remembers between two looks. */
export interface Memory {
  recommendations: Entry[];
  ups: Entry[];
  downs: Entry[];
}

/** Why a wish was changed, as a condition says it. */
export interface Reason {
  readonly reason: string;
  readonly message: string;
}

export interface Decision {
  readonly replicas: number;
  readonly stabilization: Reason;
  readonly limit: Reason & { readonly limited: boolean };
}

interface Bounds {
  readonly current: number;
  readonly min: number;
  readonly max: number;
}

const UP_STABILIZED = {
  reason: 'ScaleUpStabilized',
  message:
    'recent recommendations were lower than current one, applying the lowest recent recommendation',
};
const DOWN_STABILIZED = {
  reason: 'ScaleDownStabilized',
  message:
    'recent recommendations were higher than current one, applying the highest recent recommendation',
};
const READY = {
  reason: 'ReadyForNewScale',
  message: 'recommended size matches current size',
};
const LIMITS = {
  TooManyReplicas: 'the desired replica count is more than the maximum replica count',
  TooFewReplicas: 'the desired replica count is less than the minimum replica count',
  ScaleUpLimit: 'the desired replica count is increasing faster than the maximum scale rate',
  ScaleDownLimit: 'the desired replica count is decreasing faster than the maximum scale rate',
  DesiredWithinRange: 'the desired count is within the acceptable range',
} as const;

/** Without a behavior, growth is at most to the double, or to this. */
const LEAST_LIMIT = 4;

/**
 * From what the metrics ask for to what is done: steadied over the windows of the past, held within the rates and the
 * bounds. Notes the recommendation. Pure but for `memory`.
 */
export function normalize(
  wished: number,
  bounds: Bounds,
  behavior: Behavior | undefined,
  past: { memory: Memory; now: number; downWindowMs: number },
): Decision {
  const { memory, now } = past;
  const down = windowMs(behavior?.scaleDown, past.downWindowMs);
  const up = behavior ? windowMs(behavior.scaleUp, 0) : 0;
  const steady = behavior
    ? steadyBetween(wished, bounds.current, { memory, now, up, down })
    : { replicas: highestSince(memory, now - down, wished), how: DOWN_STABILIZED };
  memory.recommendations = memory.recommendations.filter(({ at }) => at > now - Math.max(up, down));
  memory.recommendations.push({ at: now, replicas: wished });
  const stabilization = steady.replicas === wished ? READY : steady.how;
  const held = behavior
    ? heldByRates(steady.replicas, bounds, behavior, past)
    : heldByDefault(steady.replicas, bounds);
  return {
    replicas: held.replicas,
    stabilization,
    limit: {
      limited: held.replicas !== steady.replicas,
      reason: held.reason,
      message: LIMITS[held.reason],
    },
  };
}

/** The target was scaled: counts against the rates of the time to come. */
export function noteScaling(
  memory: Memory,
  change: { from: number; to: number },
  behavior: Behavior | undefined,
  now: number,
): void {
  if (!behavior) return;
  const longest = (rules: Rules | undefined) =>
    Math.max(0, ...(rules?.policies ?? []).map(({ periodSeconds }) => periodSeconds * 1000));
  const entry = { at: now, replicas: Math.abs(change.to - change.from) };
  const kept = (entries: readonly Entry[], ms: number) => entries.filter(({ at }) => at > now - ms);
  if (change.to > change.from) {
    memory.ups = [...kept(memory.ups, longest(behavior.scaleUp)), entry];
  } else memory.downs = [...kept(memory.downs, longest(behavior.scaleDown)), entry];
}

function windowMs(rules: Rules | undefined, otherwise: number): number {
  const { stabilizationWindowSeconds } = rules ?? {};
  return stabilizationWindowSeconds === undefined ? otherwise : stabilizationWindowSeconds * 1000;
}

function highestSince(memory: Memory, since: number, wished: number): number {
  return Math.max(wished, ...recent(memory.recommendations, since).map(({ replicas }) => replicas));
}

/** Stays between the lowest wish of the growing window and the highest of the shrinking one. */
function steadyBetween(
  wished: number,
  current: number,
  past: { memory: Memory; now: number; up: number; down: number },
): { replicas: number; how: Reason } {
  const { memory, now, up, down } = past;
  const since = recent(memory.recommendations, now - up).map(({ replicas }) => replicas);
  const lowest = Math.min(wished, ...since);
  const highest = highestSince(memory, now - down, wished);
  const replicas = Math.min(Math.max(current, lowest), highest);
  return { replicas, how: wished >= current ? UP_STABILIZED : DOWN_STABILIZED };
}

function recent(entries: readonly Entry[], since: number): Entry[] {
  return entries.filter(({ at }) => at > since);
}

interface Held {
  readonly replicas: number;
  readonly reason: keyof typeof LIMITS;
}

function heldByDefault(wished: number, { current, min, max }: Bounds): Held {
  const limit = Math.max(2 * current, LEAST_LIMIT);
  if (wished < min) return { replicas: min, reason: 'TooFewReplicas' };
  const most = Math.min(max, limit);
  const reason = max > limit ? 'ScaleUpLimit' : 'TooManyReplicas';
  if (wished > most) return { replicas: most, reason };
  return { replicas: wished, reason: 'DesiredWithinRange' };
}

function heldByRates(
  wished: number,
  { current, min, max }: Bounds,
  behavior: Behavior,
  { memory, now }: { memory: Memory; now: number },
): Held {
  if (wished > current) {
    const limit = Math.max(current, upLimit(current, behavior.scaleUp, { memory, now }));
    const most = Math.min(max, limit);
    const reason = max > limit ? 'ScaleUpLimit' : 'TooManyReplicas';
    if (wished > most) return { replicas: most, reason };
  } else if (wished < current) {
    const limit = Math.min(current, downLimit(current, behavior.scaleDown, { memory, now }));
    const least = Math.max(min, limit);
    const reason = min < limit ? 'ScaleDownLimit' : 'TooFewReplicas';
    if (wished < least) return { replicas: least, reason };
  }
  return { replicas: wished, reason: 'DesiredWithinRange' };
}

function upLimit(
  current: number,
  rules: Rules | undefined,
  past: { memory: Memory; now: number },
): number {
  const grown = (policy: Policy) => {
    const start = atStart(current, policy, past);
    if (policy.type === 'Pods') return start + policy.value;
    return Math.ceil(start * (1 + policy.value / 100));
  };
  return chosen(current, rules, grown, { widest: Math.max, narrowest: Math.min });
}

function downLimit(
  current: number,
  rules: Rules | undefined,
  past: { memory: Memory; now: number },
): number {
  const shrunk = (policy: Policy) => {
    const start = atStart(current, policy, past);
    if (policy.type === 'Pods') return start - policy.value;
    return Math.trunc(start * (1 - policy.value / 100));
  };
  return chosen(current, rules, shrunk, { widest: Math.min, narrowest: Math.max });
}

function chosen(
  current: number,
  rules: Rules | undefined,
  limitOf: (policy: Policy) => number,
  pick: { widest: typeof Math.max; narrowest: typeof Math.max },
): number {
  const { policies = [], selectPolicy = 'Max' } = rules ?? {};
  if (selectPolicy === 'Disabled') return current;
  const limits = policies.map(limitOf);
  return selectPolicy === 'Min' ? pick.narrowest(...limits) : pick.widest(...limits);
}

/** The replicas there were when the policy's period began. */
function atStart(
  current: number,
  { periodSeconds }: Policy,
  { memory, now }: { memory: Memory; now: number },
): number {
  const since = now - periodSeconds * 1000;
  const total = (entries: readonly Entry[]) =>
    recent(entries, since).reduce((sum, { replicas }) => sum + replicas, 0);
  return current - total(memory.ups) + total(memory.downs);
}
