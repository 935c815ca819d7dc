import { errorMessage } from '../../util/errors.ts';
import type { Wake } from '../cluster-events.ts';
import type { CycleState } from '../cycle-state.ts';
import { type BindingDeps, bindClaims, makeRoom, untilReady } from '../devices/claim-binding.ts';
import type { ClaimBook } from '../devices/claim-book.ts';
import { claimHelps, claimInUse, claimProblem, unlessWrong } from '../devices/claim-problems.ts';
import { ClaimState } from '../devices/claim-state.ts';
import { deleteClaim, unreserveClaim } from '../devices/claim-writer.ts';
import { wantsOf } from '../devices/device-wants.ts';
import { claimsOfPod, isReservedFor } from '../devices/pod-claims.ts';
import { specialClaimOf } from '../devices/special-claim.ts';
import type {
  FilterPlugin,
  PostFilterPlugin,
  PreBindPlugin,
  PreEnqueuePlugin,
  PreFilterPlugin,
  ReservePlugin,
} from '../framework.ts';
import { FITS, failed, SKIP } from '../status.ts';

const NAME = 'DynamicResources';

/** DynamicResourcesArgs. */
export interface DynamicResourcesArgs {
  /** How long devices may take to get ready. */
  readonly bindingTimeoutMs: number;
  /** How long the search for devices on one node may take; 0: as long as it likes. */
  readonly filterTimeoutMs: number;
}

type DynamicResources = PreEnqueuePlugin &
  PreFilterPlugin &
  FilterPlugin &
  PostFilterPlugin &
  ReservePlugin &
  PreBindPlugin;

/** Places Pods where the devices that their ResourceClaims ask for are free, and gives them those (KEP-4381). */
export function dynamicResources(deps: BindingDeps, args: DynamicResourcesArgs): DynamicResources {
  const { book, classes } = deps.devices;
  const timeout = { clock: deps.clock, ms: args.filterTimeoutMs };
  const stateOf = (state: CycleState) => state.read<ClaimState>(NAME);
  return {
    name: NAME,
    wakeOn: wakes(book),

    preEnqueue: (pod) => claimProblem(book, pod),

    preFilter(state, info) {
      const { pod, uid } = info;
      const special = specialClaimOf(info, deps.devices);
      if (!pod.spec?.resourceClaims?.length && !special) return SKIP;
      return unlessWrong(() => {
        const claims = claimsOfPod(book, pod);
        if (claims.length === 0 && !special) return SKIP;
        const refusal = claims.map((claim) => claimInUse(book, claim, uid)).find(Boolean);
        if (refusal) return refusal;
        const wanted = claims
          .filter(({ status }) => !status?.allocation)
          .map((claim) => wantsOf(claim, classes));
        state.write(NAME, new ClaimState({ claims, wanted, special }, timeout));
        return FITS;
      });
    },

    filter(state, _pod, info) {
      const { node } = info;
      const found = stateOf(state);
      const pools = () => deps.devices.pools.on(node);
      return found?.allocatedElsewhere(node) ?? found?.search(info, pools(), book, classes);
    },

    postFilter: ({ state, pod }) => makeRoom(deps, stateOf(state), pod),

    reserve(state, _pod, nodeName) {
      const found = stateOf(state);
      const offer = found?.offers.get(nodeName);
      if (!offer) {
        const needed = (found?.wanted.length ?? 0) > 0;
        return needed ? failed('claim allocation not found for node') : FITS;
      }
      offer.wanted.forEach(({ claim }, i) => {
        const allocation = offer.allocations[i];
        if (allocation) book.reserve({ ...claim, status: { ...claim.status, allocation } });
      });
      return FITS;
    },

    unreserve(state, pod, nodeName) {
      const found = stateOf(state);
      const special = found?.offers.get(nodeName)?.special;
      if (special) book.release(special.wanted.claim);
      const made = found?.special?.written;
      // If it fails, the next try finds the claim and deletes it.
      if (made) deleteClaim(deps.client, made).catch(() => {});
      for (const claim of found?.claims ?? []) {
        book.release(claim);
        if (!claim.status?.allocation || !isReservedFor(claim, pod.uid)) continue;
        // If it fails, the Pod still has its place in the claim when it is tried again.
        unreserveClaim(deps.client, claim, pod.uid).catch(() => {});
      }
    },

    async preBind(state, pod, nodeName, signal) {
      const found = stateOf(state);
      if (!found) return FITS;
      try {
        await bindClaims(deps, found, pod, nodeName);
      } catch (err) {
        return failed(errorMessage(err), err);
      }
      const { claims, special } = found;
      const all = special?.written ? [...claims, special.written] : claims;
      return untilReady(deps, all, { ...args, signal });
    },
  };
}

function wakes(book: ClaimBook): readonly Wake[] {
  return [
    {
      on: [
        ...(['Node/Add', 'Node/UpdateLabel', 'ResourceSlice/Add', 'ResourceSlice/Update'] as const),
        ...(['DeviceClass/Add', 'DeviceClass/Update'] as const),
      ],
    },
    {
      on: ['ResourceClaim/Add', 'ResourceClaim/Update', 'ResourceClaim/Delete'],
      helps: (pod, change) => claimHelps(book, pod, change),
    },
    {
      on: ['Pod/UpdateGeneratedResourceClaim'],
      helps: (pod) => claimProblem(book, pod) === undefined,
    },
  ];
}
