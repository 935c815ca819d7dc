import type { Change, ClusterEvent, Wake } from './cluster-events.ts';
import type { QueuedPod } from './queued-pod.ts';

/** Which plugins care about which events. A plugin that does not say is woken by everything. */
export class WakeTable {
  readonly #wakes = new Map<string, readonly Wake[] | undefined>();

  constructor(plugins: Iterable<{ name: string; wakeOn?: readonly Wake[] }>) {
    for (const plugin of plugins) this.#wakes.set(plugin.name, plugin.wakeOn);
  }

  interestedIn(events: readonly ClusterEvent[]): string[] {
    const out: string[] = [];
    for (const [plugin, wakes] of this.#wakes) {
      if (!wakes || wakes.some((wake) => concerns(wake, events))) out.push(plugin);
    }
    return out;
  }

  /** Whether these events may make `plugin` accept the Pod. A hint that throws counts as yes. */
  helps(plugin: string, events: readonly ClusterEvent[], pod: QueuedPod, change: Change): boolean {
    const wakes = this.#wakes.get(plugin);
    if (!wakes) return true;
    return wakes.some((wake) => concerns(wake, events) && asked(wake, pod, change));
  }
}

function concerns(wake: Wake, events: readonly ClusterEvent[]): boolean {
  return events.some((event) => wake.on.includes(event));
}

function asked(wake: Wake, pod: QueuedPod, change: Change): boolean {
  if (!wake.helps) return true;
  try {
    return wake.helps(pod.info, change);
  } catch {
    return true; // trying once too often is harmless, never trying is not
  }
}
