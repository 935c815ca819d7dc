import type { Client } from '../client/client.ts';
import { signalProcess } from '../host/processes.ts';
import type { Clock } from '../util/clock.ts';
import { SCENARIOS, type Scenario } from './drill/scenarios.ts';
import { DrillWorld } from './drill/world.ts';
import type { Paths } from './paths.ts';
import { findLeftBehind } from './supervised-process.ts';
import { supervisorOf } from './up.ts';

/** What one failure did. */
export interface DrillRow {
  readonly component: string;
  readonly stops: string;
  /** Requests to a Service while the component was gone and came back, and how many nobody answered. */
  readonly asked: number;
  readonly failed: number;
  /** The containers that ran before still run, none started again. */
  readonly kept: boolean;
  /** From the moment it may return until what it missed is done. */
  readonly recoverySeconds: number;
}

interface DrillDeps {
  readonly client: Client;
  readonly clock: Clock;
  readonly progress: (line: string) => void;
}

const GONE_MS = 3000;
const LIMIT_MS = 90_000;

/** The names of what can be killed. */
export const DRILLS: readonly string[] = SCENARIOS.map(({ component }) => component);

/**
 * Kills the components of a running cluster one after the other, keeps each away for a while, and watches what goes on
 * without it. Works in a namespace of its own, which it removes.
 */
export async function drill(
  paths: Paths,
  components: readonly string[],
  deps: DrillDeps,
  signal: AbortSignal,
): Promise<DrillRow[]> {
  const world = new DrillWorld(deps);
  const rows: DrillRow[] = [];
  try {
    const url = await world.prepare(within(signal));
    for (const scenario of SCENARIOS.filter(({ component }) => components.includes(component))) {
      deps.progress(`Killing ${scenario.component}`);
      rows.push(await fail(paths, scenario, { world, url, clock: deps.clock }, signal));
    }
  } finally {
    await world.remove(AbortSignal.timeout(LIMIT_MS));
  }
  return rows;
}

/** One row of the table. */
async function fail(
  paths: Paths,
  scenario: Scenario,
  { world, url, clock }: { world: DrillWorld; url: string; clock: Clock },
  signal: AbortSignal,
): Promise<DrillRow> {
  const { component, stops } = scenario;
  const supervisor = supervisorOf(paths);
  const victim = findLeftBehind(component, paths.run);
  if (!supervisor || !victim) throw new Error(`${component} does not run here; see: k8ts status`);
  const before = await world.running('steady');
  const asking = new AbortController();
  const answered = world.ask(url, asking.signal);
  try {
    // A supervisor that stands still starts nothing again.
    signalProcess(supervisor.pid, 'SIGSTOP');
    try {
      signalProcess(victim.identity.pid, 'SIGKILL');
      await scenario.while(world);
      await clock.sleep(GONE_MS, signal);
      if (component !== 'apiserver' && (await scenario.after(world).catch(() => false))) {
        throw new Error(`What only ${component} does happened without it`);
      }
    } finally {
      signalProcess(supervisor.pid, 'SIGCONT');
    }
    const what = `what ${component} missed is done`;
    const recoverySeconds = await world.until(what, () => scenario.after(world), within(signal));
    const now = await world.running('steady');
    const kept = before.every((container) => now.includes(container));
    asking.abort();
    return { component, stops, ...(await answered), kept, recoverySeconds };
  } finally {
    asking.abort();
    await answered;
  }
}

function within(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
}

/** The table for people. */
export function renderDrill(rows: readonly DrillRow[]): string {
  const head = ['KILLED', 'PODS', 'SERVICE', 'BACK AFTER', 'WHAT STOPS MEANWHILE'];
  const cells = rows.map((row) => [
    row.component,
    row.kept ? 'kept' : 'LOST',
    row.failed === 0 ? `${row.asked} answers` : `${row.failed} of ${row.asked} FAILED`,
    `${row.recoverySeconds.toFixed(1)} s`,
    row.stops,
  ]);
  const widths = head.map((_, i) =>
    Math.max(...[head, ...cells].map((line) => line[i]?.length ?? 0)),
  );
  return [head, ...cells]
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd((widths[i] ?? 0) + 2))
        .join('')
        .trimEnd(),
    )
    .join('\n');
}
