import { PROCESSES } from './drill/processes.ts';
import type { Place, Scenario } from './drill/scenario.ts';
import { SURROUNDINGS } from './drill/surroundings.ts';
import { DEPLOYMENT, DrillWorld } from './drill/world.ts';

/** What one failure did. */
export interface DrillRow {
  readonly part: string;
  readonly stops: string;
  /** Requests to a Service while the part was gone and came back, and how many nobody answered. */
  readonly asked: number;
  readonly failed: number;
  /** Pods went with the part, and the requests to them. */
  readonly takesPods: boolean;
  /** The containers that ran before, but for those that went with the part, still run; none was started again. */
  readonly kept: boolean;
  /** What kubectl printed meanwhile. */
  readonly said: string;
  /** From the moment it may return until what it missed is done. */
  readonly recoverySeconds: number;
}

const LIMIT_MS = 120_000;
const SCENARIOS = [...PROCESSES, ...SURROUNDINGS];

/** The names of what can be taken away. */
export const DRILLS: readonly string[] = SCENARIOS.map(({ part }) => part);

/**
 * Takes the parts of a running cluster away one after the other, each for a while, and watches what goes on without it. Works
 * in a namespace of its own, which it removes. Those named must be there; where none is named, what is not is left out.
 */
export async function drill(
  place: Place,
  named: readonly string[],
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<DrillRow[]> {
  const scenarios = await possible(place, named, progress);
  const world = new DrillWorld(place);
  const rows: DrillRow[] = [];
  try {
    const url = await world.prepare(within(signal));
    for (const scenario of scenarios) {
      progress(`Without ${scenario.part}`);
      rows.push(await fail(place, scenario, { world, url }, signal));
    }
  } finally {
    await world.remove(AbortSignal.timeout(LIMIT_MS));
  }
  return rows;
}

async function possible(
  place: Place,
  named: readonly string[],
  progress: (line: string) => void,
): Promise<Scenario[]> {
  const chosen: Scenario[] = [];
  for (const scenario of SCENARIOS) {
    if (named.length > 0 && !named.includes(scenario.part)) continue;
    const obstacle = await scenario.obstacle?.(place);
    if (obstacle === undefined) chosen.push(scenario);
    else if (named.length > 0) throw new Error(`${scenario.part}: ${obstacle}`);
    else progress(`Left out ${scenario.part}: ${obstacle}`);
  }
  return chosen;
}

/** One row of the table. */
async function fail(
  place: Place,
  scenario: Scenario,
  { world, url }: { world: DrillWorld; url: string },
  signal: AbortSignal,
): Promise<DrillRow> {
  const { part, stops } = scenario;
  const node = scenario.node?.(place);
  await world.until(
    'what the last part missed is counted',
    () => world.isSettled(),
    within(signal),
  );
  const before = await world.running(DEPLOYMENT, node);
  const asking = new AbortController();
  const answered = world.ask(url, asking.signal);
  try {
    const said = await without(place, scenario, world, signal);
    const what = `what ${part} missed is done`;
    const done = () => scenario.after(world, place);
    const recoverySeconds = await world.until(what, done, within(signal));
    const now = await world.running(DEPLOYMENT);
    const kept = before.every((container) => now.includes(container));
    asking.abort();
    const takesPods = node !== undefined;
    return { part, stops, ...(await answered), kept, takesPods, said, recoverySeconds };
  } finally {
    asking.abort();
    await answered;
  }
}

/** What kubectl says while the part is gone, which it is for as long as this works. */
async function without(
  place: Place,
  scenario: Scenario,
  world: DrillWorld,
  signal: AbortSignal,
): Promise<string> {
  const restore = await scenario.take(place);
  try {
    await scenario.while(world, place);
    await place.clock.sleep(place.goneMs, signal);
    const said = await world.kubectl(place.paths, scenario.ask(place));
    if (scenario.missed && (await scenario.after(world, place).catch(() => false))) {
      throw new Error(`What only ${scenario.part} does happened without it`);
    }
    return said;
  } finally {
    await restore();
  }
}

function within(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
}

/** Whether the row is as it should be. */
export function isFine({ kept, failed, takesPods }: DrillRow): boolean {
  return kept && (failed === 0 || takesPods);
}

/** The table for people. */
export function renderDrill(rows: readonly DrillRow[]): string {
  const head = ['GONE', 'PODS', 'SERVICE', 'BACK AFTER', 'WHAT STOPS MEANWHILE', 'KUBECTL SAYS'];
  const cells = rows.map((row) => [
    row.part,
    row.kept ? 'kept' : 'LOST',
    service(row),
    `${row.recoverySeconds.toFixed(1)} s`,
    row.stops,
    row.said,
  ]);
  const widths = head.map((_, i) =>
    Math.max(...[head, ...cells].map((line) => line[i]?.length ?? 0)),
  );
  const pad = (cell: string, i: number) => cell.padEnd((widths[i] ?? 0) + 2);
  return [head, ...cells].map((line) => line.map(pad).join('').trimEnd()).join('\n');
}

function service({ asked, failed, takesPods }: DrillRow): string {
  if (failed === 0) return `${asked} answers`;
  return `${failed} of ${asked} ${takesPods ? 'went to its Pods' : 'FAILED'}`;
}
