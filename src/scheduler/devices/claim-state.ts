import type { DeviceClass, Node, ResourceClaim } from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import type { PluginState } from '../cycle-state.ts';
import type { NodeInfo } from '../node-info.ts';
import { compileNodeSelector, type NodeMatcher } from '../selectors.ts';
import { failed, type Status, unresolvable, unschedulable } from '../status.ts';
import { allocationOf } from './allocation.ts';
import { type Allocation, DeviceError } from './device-parts.ts';
import type { NodePool } from './device-pools.ts';
import { DeviceSearch, type DeviceUsage, PoolError, type SearchLimit } from './device-search.ts';
import type { WantedClaim } from './device-wants.ts';
import type { SpecialClaim, SpecialWant } from './special-claim.ts';

const NOT_ALL = unresolvable('cannot allocate all claims');
const STALE = unschedulable('cannot schedule extended resource claim');
const NOT_HERE = unresolvable('resourceclaim not available on the node');

// Devices times requests can be more than a lifetime's worth of combinations, and other Pods wait for the only thread:
// all nodes together get this many, however long one node may take.
const MAX_TRIES = 200_000;

/** How long the search on one node may take. */
export interface FilterTimeout {
  readonly clock: Pick<Clock, 'now'>;
  /** 0: no limit. */
  readonly ms: number;
}

/** What a node would give. */
export interface Offer {
  readonly wanted: readonly WantedClaim[];
  /** Beside `wanted`. */
  readonly allocations: readonly Allocation[];
  /** The last of `wanted` is the special claim. */
  readonly special: SpecialWant | undefined;
}

/** What a cycle knows of the claims of its Pod. */
export class ClaimState implements PluginState {
  /** As they are known; those that are bound are replaced by what was written. */
  readonly claims: ResourceClaim[];
  /** Those without devices. */
  readonly wanted: readonly WantedClaim[];
  /** Where the allocated ones can be used; undefined: everywhere. */
  readonly places: readonly (NodeMatcher | undefined)[];
  /** For extended resources. */
  readonly special: SpecialClaim | undefined;
  /** By node. */
  readonly offers = new Map<string, Offer>();
  /** Allocated claims that kept the Pod from a node. */
  readonly inTheWay = new Set<ResourceClaim>();
  #tries = MAX_TRIES;
  readonly #timeout: FilterTimeout;

  constructor(
    { claims, wanted, special }: Pick<ClaimState, 'claims' | 'wanted' | 'special'>,
    timeout: FilterTimeout,
  ) {
    this.#timeout = timeout;
    this.special = special;
    this.claims = [...claims];
    this.wanted = wanted;
    this.places = claims.map(({ status }) => {
      const selector = status?.allocation?.nodeSelector;
      return selector && compileNodeSelector(selector);
    });
  }

  clone(): ClaimState {
    return this;
  }

  /** Why the claims that are allocated cannot be used on the node. */
  allocatedElsewhere(node: Node): Status | undefined {
    const elsewhere = this.claims.filter((_, i) => this.places[i]?.(node) === false);
    for (const claim of elsewhere) this.inTheWay.add(claim);
    return elsewhere.length > 0 ? NOT_HERE : undefined;
  }

  /** Looks for devices on the node, and remembers them. */
  search(
    { node, allocatable }: Pick<NodeInfo, 'node' | 'allocatable'>,
    pools: readonly NodePool[],
    usage: DeviceUsage,
    classes: Lister<DeviceClass>,
  ): Status | undefined {
    if (this.special?.written) return STALE;
    const limit = this.#limit();
    try {
      const special = this.special?.wantOn(allocatable);
      const wanted = special ? [...this.wanted, special.wanted] : this.wanted;
      if (wanted.length === 0) return undefined;
      const picked = new DeviceSearch(wanted, pools, usage, limit).run();
      if (!picked) return NOT_ALL;
      const allocations = wanted.map((one, i) => allocationOf(one, picked[i] ?? [], node, classes));
      this.offers.set(node.metadata.name, { wanted, allocations, special });
      return undefined;
    } catch (err) {
      if (err instanceof PoolError) return unresolvable(err.message);
      // A claim or class with a selector that fails is wrong on every node.
      if (err instanceof DeviceError) return failed(err.message, err);
      throw err;
    } finally {
      this.#tries = limit.tries;
    }
  }

  #limit(): SearchLimit {
    const { clock, ms } = this.#timeout;
    const deadline = ms > 0 ? clock.now() + ms : Number.POSITIVE_INFINITY;
    return { tries: this.#tries, late: () => clock.now() >= deadline };
  }
}
