import type { NodeReadings, Reading } from './readings.ts';

/** How much is in use: CPU in cores, memory in bytes; measured over `windowMs` until `at` (milliseconds). */
export interface Usage {
  readonly at: number;
  readonly windowMs: number;
  readonly cores: number;
  readonly memoryBytes: number;
}

/** The last two looks at each node, and what follows from them. */
export class UsageStore {
  readonly #looks = new Map<string, { last: NodeReadings; before: NodeReadings | undefined }>();
  /** `NAMESPACE/POD` → node. */
  readonly #nodeOf = new Map<string, string>();

  add(node: string, readings: NodeReadings): void {
    this.#looks.set(node, { last: readings, before: this.#looks.get(node)?.last });
    for (const [pod, where] of this.#nodeOf) {
      if (where === node && !readings.pods.has(pod)) this.#nodeOf.delete(pod);
    }
    for (const pod of readings.pods.keys()) this.#nodeOf.set(pod, node);
  }

  /** The node is gone, or does not answer any more: what it told last says nothing about now. */
  forget(node: string): void {
    this.#looks.delete(node);
    for (const [pod, where] of this.#nodeOf) if (where === node) this.#nodeOf.delete(pod);
  }

  /** At least one node has been looked at. */
  get filled(): boolean {
    return this.#looks.size > 0;
  }

  node(name: string): Usage | undefined {
    const { last, before } = this.#looks.get(name) ?? {};
    return last?.node && usageOf(last.node, before?.node);
  }

  /** Undefined unless every container's use is known: a sum without one would mislead an autoscaler. */
  pod(key: string): ReadonlyMap<string, Usage> | undefined {
    const look = this.#looks.get(this.#nodeOf.get(key) ?? '');
    const containers = look?.last.pods.get(key);
    if (!containers) return undefined;
    const usages = new Map<string, Usage>();
    for (const [name, reading] of containers) {
      const usage = usageOf(reading, look?.before?.pods.get(key)?.get(name));
      if (!usage) return undefined;
      usages.set(name, usage);
    }
    return usages;
  }
}

/** Between two readings; a container that is younger than the last look is measured from its start. Pure. */
export function usageOf(last: Reading, before: Reading | undefined): Usage | undefined {
  const isSame = before && before.cpuSeconds <= last.cpuSeconds && before.at < last.at;
  const wasThere = isSame && (last.startedAt === undefined || last.startedAt <= before.at);
  const since = wasThere ? before : startOf(last);
  if (!since || last.at <= since.at) return undefined;
  const windowMs = last.at - since.at;
  const cores = ((last.cpuSeconds - since.cpuSeconds) * 1000) / windowMs;
  return { at: last.at, windowMs, cores, memoryBytes: last.memoryBytes };
}

function startOf({ startedAt }: Reading): Pick<Reading, 'at' | 'cpuSeconds'> | undefined {
  return startedAt === undefined ? undefined : { at: startedAt, cpuSeconds: 0 };
}
