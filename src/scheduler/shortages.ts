import type { NodeInfo } from './node-info.ts';
import type { Resources } from './resources.ts';
import type { Status } from './status.ts';

/** Whether an extended resource, of which a node has so much, is not looked at. */
export type Ignored = (name: string, has: number) => boolean;

/** Everything that the node has too little of. Asked for every node: allocates only when something is short. */
export function shortages(wanted: Resources, node: NodeInfo, ignored: Ignored): Status | undefined {
  const { allocatable: all, requested: used } = node;
  let short: Shortages | undefined;
  if (node.pods.size + 1 > all.pods) {
    short = new Shortages();
    short.add('Too many pods', all.pods === 0);
  }
  if (lacks(wanted.milliCpu, all.milliCpu, used.milliCpu)) {
    short ??= new Shortages();
    short.add('Insufficient cpu', wanted.milliCpu > all.milliCpu);
  }
  if (lacks(wanted.memory, all.memory, used.memory)) {
    short ??= new Shortages();
    short.add('Insufficient memory', wanted.memory > all.memory);
  }
  if (lacks(wanted.ephemeralStorage, all.ephemeralStorage, used.ephemeralStorage)) {
    short ??= new Shortages();
    short.add('Insufficient ephemeral-storage', wanted.ephemeralStorage > all.ephemeralStorage);
  }
  // Going through an empty map makes garbage, too.
  if (wanted.scalar.size === 0) return short?.status;
  for (const [name, want] of wanted.scalar) {
    const has = all.scalar.get(name) ?? 0;
    if (!lacks(want, has, used.scalar.get(name) ?? 0) || ignored(name, has)) continue;
    short ??= new Shortages();
    short.add(`Insufficient ${name}`, want > has);
  }
  return short?.status;
}

function lacks(want: number, all: number, used: number): boolean {
  return want > 0 && want > all - used;
}

class Shortages {
  readonly #reasons: string[] = [];
  #hopeless = false;

  /** Hopeless: the node could not hold the Pod even if it were empty, so evicting others is no use. */
  add(reason: string, hopeless: boolean): void {
    this.#reasons.push(reason);
    this.#hopeless ||= hopeless;
  }

  get status(): Status {
    const code = this.#hopeless ? 'UnschedulableAndUnresolvable' : 'Unschedulable';
    return { code, reasons: this.#reasons };
  }
}
