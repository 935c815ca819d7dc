import type { ResourceClaim } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Change, Wake } from '../cluster-events.ts';
import type { CycleState } from '../cycle-state.ts';
import { type BindingDeps, bindClaims, makeRoom, untilReady } from '../devices/claim-binding.ts';
import { ClaimState } from '../devices/claim-state.ts';
import { deleteClaim, unreserveClaim } from '../devices/claim-writer.ts';
import { DeviceError, MAX_CONSUMERS } from '../devices/device-parts.ts';
import { wantsOf } from '../devices/device-wants.ts';
import { claimsOfPod, isReservedFor } from '../devices/pod-claims.ts';
import { isSpecial, specialClaimOf } from '../devices/special-claim.ts';
import type {
  FilterPlugin,
  PostFilterPlugin,
  PreBindPlugin,
  PreEnqueuePlugin,
  PreFilterPlugin,
  ReservePlugin,
} from '../framework.ts';
import type { PodInfo } from '../pod-info.ts';
import { FITS, failed, SKIP, type Status, unresolvable } from '../status.ts';

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
    wakeOn: wakes(deps),

    preEnqueue: (pod) => claimProblem(deps, pod),

    preFilter(state, info) {
      const { pod, uid } = info;
      const special = specialClaimOf(info, deps.devices);
      if (!pod.spec?.resourceClaims?.length && !special) return SKIP;
      return unlessWrong(() => {
        const claims = claimsOfPod(book, pod);
        if (claims.length === 0 && !special) return SKIP;
        const refusal = claims.map((claim) => inUse(deps, claim, uid)).find(Boolean);
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

function wakes(deps: BindingDeps): readonly Wake[] {
  return [
    {
      on: [
        ...(['Node/Add', 'Node/UpdateLabel', 'ResourceSlice/Add', 'ResourceSlice/Update'] as const),
        ...(['DeviceClass/Add', 'DeviceClass/Update'] as const),
      ],
    },
    {
      on: ['ResourceClaim/Add', 'ResourceClaim/Update', 'ResourceClaim/Delete'],
      helps: (pod, change) => claimHelps(deps, pod, change),
    },
    {
      on: ['Pod/UpdateGeneratedResourceClaim'],
      helps: (pod) => claimProblem(deps, pod) === undefined,
    },
  ];
}

/** What is wrong with a claim keeps the Pod waiting; it is no failure of the scheduler's. */
function unlessWrong<T>(act: () => T): T | Status {
  try {
    return act();
  } catch (err) {
    if (err instanceof DeviceError) return unresolvable(err.message);
    throw err;
  }
}

function claimProblem({ devices }: BindingDeps, { pod }: PodInfo): Status | undefined {
  if (!pod.spec?.resourceClaims?.length) return FITS;
  return unlessWrong(() => {
    claimsOfPod(devices.book, pod);
    return FITS;
  });
}

function inUse({ devices }: BindingDeps, claim: ResourceClaim, podUid: string): Status | undefined {
  const { namespace, name, uid } = claim.metadata;
  if (devices.book.isPending(uid)) {
    return unresolvable(`resource claim ${namespace}/${name} is in the process of being allocated`);
  }
  const full = (claim.status?.reservedFor?.length ?? 0) >= MAX_CONSUMERS;
  if (!claim.status?.allocation || !full || isReservedFor(claim, podUid)) return FITS;
  return unresolvable('resourceclaim in use');
}

/** Freed devices may help anybody; other changes only those who use the claim. */
function claimHelps(deps: BindingDeps, pod: PodInfo, change: Change): boolean {
  const before = change.before as ResourceClaim | undefined;
  const after = change.after as ResourceClaim | undefined;
  if (claimProblem(deps, pod)) return false;
  if (before?.status?.allocation && !after?.status?.allocation) return true;
  if (before && !after && isSpecial(before, pod.pod)) return true;
  const uid = after?.metadata.uid;
  const mine = claimsOfPod(deps.devices.book, pod.pod).some((claim) => claim.metadata.uid === uid);
  if (!mine || !after) return false;
  return !before || JSON.stringify(before.status) !== JSON.stringify(after.status);
}
