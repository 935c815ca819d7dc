import { type Amounts, taken } from './device-capacity.ts';
import { DeviceError, MAX_RESULTS } from './device-parts.ts';
import type { Candidate, DevicePool, NodePool } from './device-pools.ts';
import { AttributeConstraint, isTainted } from './device-rules.ts';
import { selects, type Want, type WantedClaim } from './device-wants.ts';

/** What is given out already, in the whole cluster. */
export interface DeviceUsage {
  /** Somebody has the whole device. */
  isTaken(id: string): boolean;
  /** What the users of a shared device have of it; undefined: it has no user. */
  sharesOf(id: string): Amounts | undefined;
}

/** A device for a request. */
export interface Picked {
  readonly want: Want;
  readonly candidate: Candidate;
  /** Of a shared device. */
  readonly share: Amounts;
}

interface Step {
  readonly claim: number;
  readonly alternatives: readonly Want[];
}

/** How much a search may cost. */
export interface SearchLimit {
  /** How many devices may still be tried; counted down. */
  tries: number;
  /** Whether its time is over. */
  readonly late: () => boolean;
}

// A look at the clock costs as much as a few tries.
const TRIES_BETWEEN_LOOKS = 64;
const TIMED_OUT = 'timed out trying to allocate devices';

/**
 * Looks on one node for devices for all requests of some claims. Exhaustive: alternatives in their order, devices in
 * the order of the pools, and the first way to meet everything is taken. Undefined: there is none.
 */
export class DeviceSearch {
  readonly #claims: readonly WantedClaim[];
  readonly #pools: readonly NodePool[];
  readonly #usage: DeviceUsage;
  readonly #steps: readonly Step[];
  readonly #constraints: readonly (readonly AttributeConstraint[])[];
  readonly #picked: Picked[][];
  /** Device → who has picked it, newest last. */
  readonly #users = new Map<string, { claim: number; picked: Picked }[]>();
  readonly #counters = new Map<DevicePool, Map<string, bigint>>();
  readonly #choices = new Map<Want, readonly Candidate[]>();
  readonly #limit: SearchLimit;

  constructor(
    claims: readonly WantedClaim[],
    pools: readonly NodePool[],
    usage: DeviceUsage,
    limit: SearchLimit,
  ) {
    this.#limit = limit;
    this.#claims = claims;
    this.#pools = pools;
    this.#usage = usage;
    this.#steps = claims.flatMap(({ requests }, claim) =>
      requests.map((alternatives) => ({ claim, alternatives })),
    );
    this.#constraints = claims.map(({ claim }) =>
      (claim.spec.devices?.constraints ?? []).map((one) => new AttributeConstraint(one)),
    );
    this.#picked = claims.map(() => []);
  }

  /** Per claim its devices. Throws DeviceError for claims and classes that are not right. */
  run(): readonly (readonly Picked[])[] | undefined {
    // Most searches end here: some request has too few devices on this node, whatever the others get.
    const possible = this.#steps.every(({ claim, alternatives }) =>
      alternatives.some((want) => this.#needs(want, claim) !== undefined),
    );
    return possible && this.#solve(0) ? this.#picked : undefined;
  }

  #solve(at: number): boolean {
    const step = this.#steps[at];
    if (!step) return true;
    return step.alternatives.some((want) => {
      const needed = this.#needs(want, step.claim);
      const room = MAX_RESULTS - (this.#picked[step.claim]?.length ?? 0);
      if (needed === undefined || needed > room) return false;
      const choices = this.#choicesFor(want, step.claim);
      return this.#fill({ at, claim: step.claim, want, choices, left: needed, from: 0 });
    });
  }

  /** How many devices that means here; undefined: there are not so many. */
  #needs(want: Want, claim: number): number | undefined {
    const { length } = this.#choicesFor(want, claim);
    const needed = want.all ? length : want.count;
    return needed > length || length === 0 ? undefined : needed;
  }

  /** Sets of devices rather than orders: who comes after the last one picked. */
  #fill(task: Filling): boolean {
    if (task.left === 0) return this.#solve(task.at + 1);
    const { choices, want, claim } = task;
    const last = choices.length - task.left;
    for (let i = task.from; i <= last; i++) {
      const candidate = choices[i] as Candidate;
      if (this.#pick(claim, want, candidate)) {
        if (this.#fill({ ...task, left: task.left - 1, from: i + 1 })) return true;
        this.#putBack(claim);
      }
      if (want.all) return false; // all of them, or none
    }
    return false;
  }

  #choicesFor(want: Want, claim: number): readonly Candidate[] {
    const known = this.#choices.get(want);
    if (known) return known;
    const wanted = this.#claims[claim] as WantedClaim;
    const found: Candidate[] = [];
    for (const { pool, candidates } of this.#pools) {
      if (pool.problem !== undefined) {
        if (want.all) {
          const { namespace, name } = wanted.claim.metadata;
          const what = `resource pool ${pool.driver}/${pool.name} is currently ${pool.problem}`;
          throw new PoolError(
            `claim ${namespace}/${name}, request ${want.name}: asks for all devices, but ${what}`,
          );
        }
        continue;
      }
      for (const one of candidates) {
        if (this.#limit.late()) throw new PoolError(TIMED_OUT);
        if (selects(want, wanted.claim, { ...one, driver: pool.driver })) found.push(one);
      }
    }
    this.#choices.set(want, found);
    return found;
  }

  #countTry(): void {
    const limit = this.#limit;
    const look = --limit.tries % TRIES_BETWEEN_LOOKS === 0;
    if (limit.tries < 0 || (look && limit.late())) throw new PoolError(TIMED_OUT);
  }

  #pick(claim: number, want: Want, candidate: Candidate): boolean {
    this.#countTry();
    if (isTainted(candidate.device, want.tolerations)) return false;
    const share = this.#shareOf(claim, want, candidate);
    if (!share || !this.#hasCounters(want, candidate)) return false;
    const constraints = this.#constraints[claim] ?? [];
    const broken = constraints.findIndex((one) => !one.add(want, candidate));
    if (broken >= 0) {
      for (const one of constraints.slice(0, broken)) one.remove(want);
      return false;
    }
    this.#count(want, candidate, 1n);
    const picked = { want, candidate, share };
    this.#picked[claim]?.push(picked);
    const users = this.#users.get(candidate.id);
    if (users) users.push({ claim, picked });
    else this.#users.set(candidate.id, [{ claim, picked }]);
    return true;
  }

  #putBack(claim: number): void {
    const picked = this.#picked[claim]?.pop();
    if (!picked) return;
    const { want, candidate } = picked;
    this.#users.get(candidate.id)?.pop();
    this.#count(want, candidate, -1n);
    for (const constraint of this.#constraints[claim] ?? []) constraint.remove(want);
  }

  /** What the request would have of the device, unless others have it. */
  #shareOf(claim: number, want: Want, { id, device }: Candidate): Amounts | undefined {
    const users = this.#users.get(id) ?? [];
    if (want.adminAccess) {
      return users.some((user) => user.claim === claim) ? undefined : taken(device, want.capacity);
    }
    const others = users.filter(({ picked }) => !picked.want.adminAccess);
    if (this.#usage.isTaken(id)) return undefined;
    if (!device.allowMultipleAllocations) {
      return others.length === 0 ? taken(device, want.capacity) : undefined;
    }
    const used = new Map(this.#usage.sharesOf(id));
    for (const { picked } of others) {
      for (const [name, amount] of picked.share) used.set(name, (used.get(name) ?? 0n) + amount);
    }
    return taken(device, want.capacity, used);
  }

  #hasCounters(want: Want, candidate: Candidate): boolean {
    if (!this.#consumes(want, candidate)) return true;
    const left = this.#countersOf(candidate.pool);
    return candidate.consumes.every(([counter, amount]) => (left.get(counter) ?? 0n) >= amount);
  }

  #count(want: Want, candidate: Candidate, sign: bigint): void {
    if (!this.#consumes(want, candidate)) return;
    const left = this.#countersOf(candidate.pool);
    for (const [counter, amount] of candidate.consumes) {
      left.set(counter, (left.get(counter) ?? 0n) - sign * amount);
    }
  }

  /** Only the first user of a device takes its counters. */
  #consumes({ adminAccess }: Want, { id, consumes }: Candidate): boolean {
    if (adminAccess || consumes.length === 0) return false;
    const mine = (this.#users.get(id) ?? []).some(({ picked }) => !picked.want.adminAccess);
    return !mine && this.#usage.sharesOf(id) === undefined;
  }

  /** What those who have devices of the pool leave of its counters. */
  #countersOf(pool: DevicePool): Map<string, bigint> {
    const known = this.#counters.get(pool);
    if (known) return known;
    const left = new Map(pool.counters);
    for (const { id, consumes } of pool.devices) {
      if (!this.#usage.isTaken(id) && this.#usage.sharesOf(id) === undefined) continue;
      for (const [counter, amount] of consumes) {
        left.set(counter, (left.get(counter) ?? 0n) - amount);
      }
    }
    this.#counters.set(pool, left);
    return left;
  }
}

/** A request that is being met. */
interface Filling {
  readonly at: number;
  readonly claim: number;
  readonly want: Want;
  readonly choices: readonly Candidate[];
  readonly left: number;
  readonly from: number;
}

/** Holds for this node, or for now; others may do. */
export class PoolError extends DeviceError {}
