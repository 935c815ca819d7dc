import { isConflict, isNotFound } from '../api/errors.ts';
import { isMirrorPod } from '../api/pods.ts';
import { PODS } from '../api/resource-types.ts';
import type { Pod, PodStatus } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { jsonEqual } from '../util/json.ts';
import type { Logger } from '../util/log.ts';
import { isStatic, podKey } from './names.ts';
import { KUBELET_CONDITIONS } from './pod-conditions.ts';
import { isFinal } from './pod-status.ts';

const RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;

interface Tracked {
  /** The pod in the API that shows the status: the pod itself or its mirror. */
  pod: Pod;
  status: PodStatus;
  /** What the API server was told last. */
  told: PodStatus | undefined;
  /** The version of `pod` in the API that this made. */
  toldVersion: string | undefined;
  /** The pod is being deleted and nothing of it is left here. */
  finished: boolean;
  /** Something was set since the writer looked last. */
  dirty: boolean;
  writing: Promise<void> | undefined;
  /** It is told in a moment, unless this is called. */
  cancel: (() => void) | undefined;
}

export interface StatusDeps {
  client: Client;
  clock: Clock;
  log: Logger;
  /** The mirror of a static pod, once it is there. */
  mirrorOf(pod: Pod): Pod | undefined;
  /** A deleted pod's record is gone from the API. */
  onDeleted(uid: string): void;
}

/** Tells the API server each pod's newest status: at once or in a moment, in order, only what changed. */
export class StatusManager {
  readonly #deps: StatusDeps;
  readonly #tracked = new Map<string, Tracked>();

  constructor(deps: StatusDeps) {
    this.#deps = deps;
  }

  /** The status that was set last, else what the API holds. */
  get(pod: Pod): PodStatus {
    return this.#tracked.get(pod.metadata.uid)?.status ?? pod.status ?? {};
  }

  set(pod: Pod, status: PodStatus): void {
    this.#kick(pod.metadata.uid, this.#note(pod, status));
  }

  /**
   * It is told within `withinMs`, with what is set meanwhile: at the latest when the first such time is over. That is asked for
   * once more then: there may be reason to wait longer by now.
   */
  setSoon(pod: Pod, status: PodStatus, withinMs: () => number): void {
    const { uid } = pod.metadata;
    const tracked = this.#note(pod, status);
    if (!tracked.cancel) this.#tellIn(uid, tracked, withinMs, 0);
  }

  #tellIn(uid: string, tracked: Tracked, withinMs: () => number, waitedMs: number): void {
    const totalMs = withinMs();
    if (totalMs > waitedMs) {
      const again = () => this.#tellIn(uid, tracked, withinMs, totalMs);
      tracked.cancel = this.#deps.clock.after(totalMs - waitedMs, again);
    } else this.#kick(uid, tracked);
  }

  /** Containers, volumes and groups are gone: the API's record of the deleted pod may go. */
  finish(pod: Pod): void {
    const tracked = this.#track(pod);
    tracked.pod = pod;
    tracked.status = finalStatus(pod, tracked.status);
    tracked.finished = true;
    this.#kick(pod.metadata.uid, tracked);
  }

  /** Another object shows the pod from now on: it is told everything, by what its own status says of the past. */
  retell(pod: Pod, workOut: () => void): void {
    const tracked = this.#tracked.get(pod.metadata.uid);
    if (!tracked) return;
    workOut();
    tracked.told = undefined;
    this.#kick(pod.metadata.uid, tracked);
  }

  forget(uid: string): void {
    this.#tracked.get(uid)?.cancel?.();
    this.#tracked.delete(uid);
  }

  /** Resolves when everything set so far was written or is given up. */
  async flush(): Promise<void> {
    for (const [uid, tracked] of this.#tracked) {
      if (tracked.cancel) this.#kick(uid, tracked);
    }
    await Promise.allSettled([...this.#tracked.values()].map((t) => t.writing));
  }

  #note(pod: Pod, status: PodStatus): Tracked {
    const tracked = this.#track(pod);
    tracked.pod = pod;
    tracked.status = status;
    return tracked;
  }

  #track(pod: Pod): Tracked {
    const known = this.#tracked.get(pod.metadata.uid);
    if (known) return known;
    const fresh: Tracked = {
      pod,
      status: pod.status ?? {},
      told: undefined,
      toldVersion: undefined,
      finished: false,
      dirty: false,
      writing: undefined,
      cancel: undefined,
    };
    this.#tracked.set(pod.metadata.uid, fresh);
    return fresh;
  }

  #kick(uid: string, tracked: Tracked): void {
    tracked.cancel?.();
    tracked.cancel = undefined;
    tracked.dirty = true;
    tracked.writing ??= this.#write(uid, tracked).finally(() => {
      tracked.writing = undefined;
      // Set between the writer's last look and this line: nobody else would write it.
      if (tracked.dirty && this.#tracked.get(uid) === tracked) this.#kick(uid, tracked);
    });
  }

  async #write(uid: string, tracked: Tracked): Promise<void> {
    const { clock, log } = this.#deps;
    let retryMs = RETRY_MS;
    while (tracked.dirty && this.#tracked.get(uid) === tracked) {
      tracked.dirty = false;
      try {
        if (await this.#writeOnce(uid, tracked)) tracked.dirty = true;
        retryMs = RETRY_MS;
      } catch (err) {
        tracked.dirty = true;
        log.warn({ pod: podKey(tracked.pod), err: errorMessage(err) }, 'Cannot write pod status');
        await clock.sleep(retryMs);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
  }

  /** Whether such an error says that the pod is not there any more. A conflict may also come of many writers. */
  async #isGone({ metadata: { name, namespace, uid } }: Pod, err: unknown): Promise<boolean> {
    if (isNotFound(err)) return true;
    if (!isConflict(err)) return false;
    try {
      return (await this.#deps.client.get(PODS, { name, namespace })).metadata.uid !== uid;
    } catch (second) {
      return isNotFound(second);
    }
  }

  /** Answers whether there may be more to write. */
  async #writeOnce(uid: string, tracked: Tracked): Promise<boolean> {
    const { client, mirrorOf } = this.#deps;
    const { status } = tracked;
    const target = isStatic(tracked.pod) ? mirrorOf(tracked.pod) : tracked.pod;
    if (!target) return false;
    const patch = statusPatch(shownBy(target, tracked), status);
    const { name, namespace } = target.metadata;
    try {
      if (patch) {
        const body = { metadata: { uid: target.metadata.uid }, status: patch };
        const options = { subresource: 'status' };
        const answer = await client.patch(
          PODS,
          { name, namespace },
          { type: 'strategic', body },
          options,
        );
        tracked.told = status;
        tracked.toldVersion = answer.metadata.resourceVersion;
        return true;
      }
      if (!tracked.finished || isStatic(tracked.pod) || isMirrorPod(tracked.pod)) return false;
      await client.delete(
        PODS,
        { name, namespace },
        {
          gracePeriodSeconds: 0,
          preconditions: { uid },
        },
      );
    } catch (err) {
      // Somebody else removed it, or a new pod bears its name: nobody is left to be told.
      if (!(await this.#isGone(target, err))) throw err;
    }
    if (tracked.finished) this.#deps.onDeleted(uid);
    return false;
  }
}

/**
 * What a pod ends with that nothing more is heard of (upstream's TerminatePod): no record of a pod goes, or is held by a
 * finalizer, in a phase that is not final. Who never started has failed; a Job counts on it.
 */
export function finalStatus(pod: Pod, status: PodStatus): PodStatus {
  if (isStatic(pod) || isFinal(status.phase)) return status;
  const isInitialized = status.conditions?.some(
    (c) => c.type === 'Initialized' && c.status === 'True',
  );
  const { containerStatuses } = status;
  if (!isInitialized || !containerStatuses) return { ...status, phase: 'Failed' };
  return {
    ...status,
    phase: 'Failed',
    containerStatuses: containerStatuses.map((container) =>
      container.state?.terminated
        ? container
        : { ...container, state: { terminated: UNLOCATED }, ready: false, started: false },
    ),
  };
}

const UNLOCATED = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
};

/**
 * The status that the API shows as far as is known: what it was told, unless the pod has been written since. Whoever
 * else wrote a status is corrected, as upstream's kubelet does.
 */
function shownBy(
  target: Pod,
  { told, toldVersion }: Pick<Tracked, 'told' | 'toldVersion'>,
): PodStatus {
  const { resourceVersion } = target.metadata;
  const writtenSince = toldVersion !== undefined && isLater(resourceVersion, toldVersion);
  return (writtenSince ? undefined : told) ?? target.status ?? {};
}

/** Versions of one kind are numbers that grow (KEP-5504). */
function isLater(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}

type Patch = Record<string, unknown>;

/** The strategic merge patch from one status to another; undefined when there is nothing to tell. */
export function statusPatch(before: PodStatus, after: PodStatus): Patch | undefined {
  const patch: Patch = {};
  const fields = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof PodStatus>;
  for (const field of fields) {
    if (FOREIGN_FIELDS.has(field) || jsonEqual(before[field], after[field])) continue;
    const value = fieldPatch(field, before, after);
    if (value !== undefined) patch[field] = value;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function fieldPatch(field: keyof PodStatus, before: PodStatus, after: PodStatus): unknown {
  if (field === 'conditions') {
    const lists = [before.conditions ?? [], after.conditions ?? []] as const;
    const conditions = [...changedConditions(...lists), ...endedConditions(...lists)];
    return conditions.length > 0 ? conditions : undefined;
  }
  if (!MERGED_LISTS.has(field)) return after[field] ?? null;
  // These lists merge by key: without the directive an old address would stay.
  return [...((after[field] as object[] | undefined) ?? []), { $patch: 'replace' }];
}

// Written by the scheduler and others.
const FOREIGN_FIELDS: ReadonlySet<string> = new Set([
  'nominatedNodeName',
  'resourceClaimStatuses',
  'extendedResourceClaimStatus',
]);
const MERGED_LISTS: ReadonlySet<string> = new Set(['podIPs', 'hostIPs']);

type Condition = NonNullable<PodStatus['conditions']>[number];

/** Conditions merge by type: a field that is gone must be taken away by name. */
function changedConditions(before: readonly Condition[], after: readonly Condition[]): object[] {
  const ours = after.filter((c) => KUBELET_CONDITIONS.has(c.type) || OWN_EXTRA.has(c.type));
  return ours.flatMap((condition) => {
    const earlier = before.find((c) => c.type === condition.type);
    if (jsonEqual(earlier, condition)) return [];
    const gone = Object.keys(earlier ?? {}).filter((key) => !(key in condition));
    return [{ ...condition, ...Object.fromEntries(gone.map((key) => [key, null])) }];
  });
}

/** Conditions of ours that are over are deleted by name: the list merges. */
function endedConditions(before: readonly Condition[], after: readonly Condition[]): object[] {
  const ended = before.filter(
    ({ type }) => PASSING.has(type) && !after.some((c) => c.type === type),
  );
  return ended.map(({ type }) => ({ type, $patch: 'delete' }));
}

/** Conditions that are there only while what they tell of goes on. */
const PASSING: ReadonlySet<string> = new Set([
  'PodResizePending',
  'PodResizeInProgress',
  'AllContainersRestarting',
]);

/** Conditions that the kubelet sets now and then. */
const OWN_EXTRA: ReadonlySet<string> = new Set(['DisruptionTarget']);
