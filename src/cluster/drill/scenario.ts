import type { Client } from '../../client/client.ts';
import { signalProcess } from '../../host/processes.ts';
import type { Clock } from '../../util/clock.ts';
import type { SelfCommand } from '../components.ts';
import type { Paths } from '../paths.ts';
import type { ClusterSettings } from '../settings.ts';
import { findLeftBehind } from '../supervised-process.ts';
import { supervisorOf } from '../up.ts';
import type { DrillWorld } from './world.ts';

/** Where a drill takes place. */
export interface Place {
  readonly paths: Paths;
  readonly settings: ClusterSettings;
  readonly client: Client;
  readonly clock: Clock;
  readonly self: SelfCommand;
  /** For how long each part is gone at least. */
  readonly goneMs: number;
}

/** One part of a cluster: how it is taken away, what that stops, and how its return shows. */
export interface Scenario {
  readonly part: string;
  /** What people should remember of it. */
  readonly stops: string;
  /** Why it cannot be taken away here, if it cannot. */
  readonly obstacle?: (place: Place) => Promise<string | undefined> | string | undefined;
  /** Takes it away. Resolves with what brings it back. */
  readonly take: (place: Place) => Promise<() => Promise<unknown>>;
  /** Asks for something that needs the part, and throws unless it does not happen while that is gone. */
  readonly while: (world: DrillWorld, place: Place) => Promise<void>;
  /** Holds once the part has caught up. */
  readonly after: (world: DrillWorld, place: Place) => Promise<boolean>;
  /** `after` speaks of what was asked for in `while`: it must not hold before the part is back. */
  readonly missed?: true;
  /** What kubectl is asked meanwhile. */
  readonly ask: (place: Place) => readonly string[];
  /** The node whose Pods go with the part: requests to those find nobody, and other Pods take their place. */
  readonly node?: (place: Place) => string;
}

/** Takes a process away by SIGKILL. */
export function killed(name: string): Scenario['take'] {
  return async ({ paths }) => {
    const supervisor = supervisorOf(paths);
    const victim = findLeftBehind(name, paths.run);
    if (!supervisor || !victim) throw new Error(`${name} does not run here; see: k8ts status`);
    // A supervisor that stands still starts nothing again.
    signalProcess(supervisor.pid, 'SIGSTOP');
    signalProcess(victim.identity.pid, 'SIGKILL');
    return async () => signalProcess(supervisor.pid, 'SIGCONT');
  };
}

export async function refused(act: () => Promise<unknown>, what: string): Promise<void> {
  try {
    await act();
  } catch {
    return;
  }
  throw new Error(`${what} although the part is gone`);
}
