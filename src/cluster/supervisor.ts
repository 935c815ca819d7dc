import { join } from 'node:path';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { aborted } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';
import { fingerprint, type ProcessSpec } from './components.ts';
import { writeWhole } from './files.ts';
import {
  adopt,
  findLeftBehind,
  forget,
  launch,
  type RunningProcess,
  stop,
} from './supervised-process.ts';

/** What the supervisor says about one of its processes. */
export interface ProcessStatus {
  readonly name: string;
  readonly pid: number | undefined;
  /** Since the supervisor took charge. */
  readonly restarts: number;
  /** RFC 3339; when the process was started or adopted. */
  readonly since: string;
  readonly lastEnd: string | undefined;
  readonly log: string;
}

export interface SupervisorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly runDir: string;
  /** This process's own output is the journal, and that of the others shall be too. */
  readonly journal: boolean;
}

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;
// A process that lived this long did start; its next end is a new matter.
const STABLE_MS = 10_000;
const STOP_GRACE_MS = 15_000;

/**
 * Keeps processes running: starts them together, starts again what ends, with back-off. They do not depend on
 * it: they live in sessions of their own, write to their own logs, and a new supervisor adopts those that run.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #specs: readonly ProcessSpec[];
  readonly #running = new Map<string, RunningProcess>();
  readonly #status = new Map<string, ProcessStatus>();
  #stopping = false;

  constructor(deps: SupervisorDeps, specs: readonly ProcessSpec[]) {
    this.#deps = deps;
    this.#specs = specs;
  }

  /** Works until aborted, then stops everything in the order of the stages. */
  async run(signal: AbortSignal): Promise<void> {
    const keepers = this.#specs.map((spec) => this.#keep(spec, signal));
    await aborted(signal);
    this.#stopping = true;
    await this.#stopAll();
    await Promise.all(keepers);
  }

  get status(): ProcessStatus[] {
    return [...this.#status.values()];
  }

  async #keep(spec: ProcessSpec, signal: AbortSignal): Promise<void> {
    let next = await this.#adopt(spec);
    let delayMs = FIRST_DELAY_MS;
    for (let restarts = 0; !this.#stopping; restarts++) {
      const startedAt = this.#deps.clock.now();
      const end = await this.#runOnce(spec, next, restarts);
      next = undefined;
      if (signal.aborted) return;
      if (this.#deps.clock.now() - startedAt >= STABLE_MS) delayMs = FIRST_DELAY_MS;
      this.#deps.log.warn(
        { process: spec.name, end, delayMs },
        'A process ended and is started again',
      );
      await this.#deps.clock.sleep(delayMs, signal).catch(() => {});
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
    }
  }

  /** Starts the process, or takes the one given, and answers how it ended. */
  async #runOnce(
    spec: ProcessSpec,
    adopted: RunningProcess | undefined,
    restarts: number,
  ): Promise<string> {
    try {
      const process = adopted ?? launch(spec, this.#deps);
      this.#running.set(spec.name, process);
      this.#report(spec, { pid: process.identity.pid, restarts });
      this.#deps.log.info(
        { process: spec.name, processId: process.identity.pid },
        process.adopted ? 'Adopted a running process' : 'Started a process',
      );
      const end = await process.ended;
      this.#running.delete(spec.name);
      this.#report(spec, { pid: undefined, restarts, lastEnd: end });
      return end;
    } catch (err) {
      return errorMessage(err);
    }
  }

  async #adopt(spec: ProcessSpec): Promise<RunningProcess | undefined> {
    const found = findLeftBehind(spec.name, this.#deps.runDir);
    if (!found) return undefined;
    const process = adopt(found.identity, this.#deps.clock);
    if (found.fingerprint === fingerprint(spec)) return process;
    this.#deps.log.info({ process: spec.name }, 'Stopping a process with outdated options');
    await stop(process, STOP_GRACE_MS, this.#deps.clock);
    return undefined;
  }

  async #stopAll(): Promise<void> {
    const stages = [...new Set(this.#specs.map(({ stopStage }) => stopStage))].sort(
      (a, b) => a - b,
    );
    for (const stage of stages) {
      const names = this.#specs.filter((s) => s.stopStage === stage).map(({ name }) => name);
      await Promise.all(names.map((name) => this.#stopOne(name)));
    }
  }

  async #stopOne(name: string): Promise<void> {
    const process = this.#running.get(name);
    if (process) await stop(process, STOP_GRACE_MS, this.#deps.clock);
    forget(name, this.#deps.runDir);
  }

  #report(
    spec: ProcessSpec,
    change: { pid: number | undefined; restarts: number; lastEnd?: string },
  ): void {
    const before = this.#status.get(spec.name);
    this.#status.set(spec.name, {
      name: spec.name,
      pid: change.pid,
      restarts: change.restarts,
      since: new Date(this.#deps.clock.now()).toISOString(),
      lastEnd: change.lastEnd ?? before?.lastEnd,
      log: this.#deps.journal ? 'journalctl -u k8ts' : spec.logFile,
    });
    writeWhole(statusFile(this.#deps.runDir), JSON.stringify(this.status));
  }
}

/** Where the supervisor writes its status at every change. */
export function statusFile(runDir: string): string {
  return join(runDir, 'status.json');
}
