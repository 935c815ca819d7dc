import { join } from 'node:path';
import { RESOURCE_CLAIMS, RESOURCE_SLICES } from '../../api/system-resource-types.ts';
import type { Container, Pod, ResourceClaim } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { collectionPath } from '../../client/paths.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import { Turns } from '../../util/turns.ts';
import { ClaimState, type PreparedClaim } from './claim-state.ts';
import { type ClaimRef, connectDraDriver, DRA_VERSION, type DraDriver } from './dra-driver.ts';
import { checkClaim, containerCdi, driversOf, podClaims } from './pod-claims.ts';

export interface ClaimManagerDeps {
  client: Client;
  clock: Clock;
  log: Logger;
  nodeName: string;
  /** --root-dir. */
  rootDir: string;
  /** Whether it is known that no source has the pod any more. */
  isGone(podUid: string): boolean;
  connect?(socket: string): DraDriver;
}

// A driver that is updated comes back; one that is gone offers nothing. Upstream's times.
const WIPE_AFTER_MS = 30_000;
const WIPE_RETRY_MS = 1000;
const WIPE_MAX_RETRY_MS = 300_000;
const COLLECT_MS = 60_000;

/**
 * Resource claims on this node: drivers make their devices ready before the first container of a pod that uses them
 * starts, and give them up after the last one has ended.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
 */
export class ClaimManager {
  readonly #deps: ClaimManagerDeps;
  readonly #drivers = new Map<string, DraDriver>();
  readonly #state: ClaimState;
  // One at a time: two pods may share a claim.
  readonly #turns = new Turns();

  constructor(deps: ClaimManagerDeps) {
    this.#deps = deps;
    this.#state = new ClaimState(join(deps.rootDir, 'dra_manager_state'));
  }

  open(): void {
    this.#state.open();
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    // No driver has come yet. What earlier ones offered must not bring pods here to wait for those that never come.
    await this.#wipe(undefined, signal);
    while (!signal.aborted) {
      await clock.sleep(COLLECT_MS, signal).catch(() => {});
      if (signal.aborted) break;
      await this.#collect(signal).catch((err: unknown) =>
        log.warn({ err: errorMessage(err) }, 'Cannot give up resource claims'),
      );
    }
    for (const driver of this.#drivers.values()) driver.close();
  }

  /** Takes up a driver that serves on `socket`. */
  addDriver(name: string, socket: string, versions: readonly string[]): void {
    if (!versions.includes(DRA_VERSION)) {
      const known = versions.join(', ');
      throw new Error(`none of the DRA gRPC interfaces is supported here: ${known}`);
    }
    this.#drivers.get(name)?.close();
    this.#drivers.set(name, (this.#deps.connect ?? connectDraDriver)(socket));
  }

  removeDriver(name: string, signal: AbortSignal): void {
    this.#drivers.get(name)?.close();
    this.#drivers.delete(name);
    this.#deps.clock.after(WIPE_AFTER_MS, () => {
      void this.#wipe(name, signal);
    });
  }

  /** Makes the devices of the pod's claims ready; throws what keeps them from it. Safe to repeat. */
  async prepare(pod: Pod, signal: AbortSignal): Promise<void> {
    const claims = podClaims(pod);
    if (claims.length === 0) return;
    const { namespace } = pod.metadata;
    await this.#turns.run('', async () => {
      for (const { claimName } of claims) {
        const known = this.#state.byName(namespace, claimName);
        if (known?.pods.includes(pod.metadata.uid) && isReady(known)) continue;
        const key = { namespace, name: claimName };
        const claim = await this.#deps.client.get(RESOURCE_CLAIMS, key, signal);
        checkClaim(pod, claim);
        await this.#prepareOne(pod, claim, signal);
      }
    });
  }

  async #prepareOne(pod: Pod, claim: ResourceClaim, signal: AbortSignal): Promise<void> {
    const { name, namespace, uid } = claim.metadata;
    const before = this.#state.get(uid);
    const drivers = driversOf(claim);
    // Written before a driver hears of it: what a kubelet that dies here began, the next one gives up.
    let now: PreparedClaim = {
      ...{ name, namespace, uid },
      pods: [...new Set([...(before?.pods ?? []), pod.metadata.uid])],
      drivers: Object.fromEntries(drivers.map((one) => [one, before?.drivers[one] ?? null])),
    };
    this.#state.put(now);
    for (const driver of drivers) {
      if (now.drivers[driver]) continue;
      const ready = await this.#driver(driver, name).prepare([{ namespace, uid, name }], signal);
      now = { ...now, drivers: { ...now.drivers, [driver]: ready.get(uid) ?? [] } };
      this.#state.put(now);
    }
  }

  /** Names of the devices that the container gets. */
  cdiOf(pod: Pod, container: Container): readonly string[] {
    if (this.#state.list().length === 0) return [];
    return containerCdi(pod, container, (claimName) => {
      const claim = this.#state.byName(pod.metadata.namespace, claimName);
      return Object.values(claim?.drivers ?? {}).flatMap((devices) => devices ?? []);
    });
  }

  /** The pod's containers have ended: what nobody else here uses is given up. Safe to repeat. */
  async unprepare(podUid: string, signal: AbortSignal): Promise<void> {
    if (!this.#state.list().some(({ pods }) => pods.includes(podUid))) return;
    await this.#turns.run('', async () => {
      for (const claim of this.#state.list().filter(({ pods }) => pods.includes(podUid))) {
        const pods = claim.pods.filter((uid) => uid !== podUid);
        if (pods.length === 0) await this.#giveUp(claim, signal);
        this.#state.put({ ...claim, pods });
      }
    });
  }

  async #giveUp({ drivers, ...claim }: PreparedClaim, signal: AbortSignal): Promise<void> {
    const { namespace, uid, name } = claim;
    const ref: ClaimRef = { namespace, uid, name };
    for (const driver of Object.keys(drivers)) {
      await this.#driver(driver, name).unprepare([ref], signal);
    }
  }

  /** Pods that went while no kubelet ran. */
  async #collect(signal: AbortSignal): Promise<void> {
    const pods = new Set(this.#state.list().flatMap((claim) => claim.pods));
    for (const uid of pods) if (this.#deps.isGone(uid)) await this.unprepare(uid, signal);
  }

  #driver(name: string, claimName: string): DraDriver {
    const driver = this.#drivers.get(name);
    if (driver) return driver;
    throw new Error(`DRA driver ${name} is not registered (ResourceClaim ${claimName})`);
  }

  /** Takes away what the driver, or any, has offered on this node; tries until it is done, or the driver is back. */
  async #wipe(driver: string | undefined, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const isBack = () => driver !== undefined && this.#drivers.has(driver);
    for (let wait = WIPE_RETRY_MS; !signal.aborted && !isBack(); wait *= 2) {
      if (await this.#tryWipe(driver, signal)) return;
      await clock.sleep(Math.min(wait, WIPE_MAX_RETRY_MS), signal).catch(() => {});
    }
  }

  async #tryWipe(driver: string | undefined, signal: AbortSignal): Promise<boolean> {
    const { client, nodeName, log } = this.#deps;
    const ofDriver = driver === undefined ? '' : `,spec.driver=${driver}`;
    const fieldSelector = `spec.nodeName=${nodeName}${ofDriver}`;
    try {
      const path = `${collectionPath(RESOURCE_SLICES)}?${new URLSearchParams({ fieldSelector })}`;
      await client.raw('DELETE', path, undefined, signal);
      return true;
    } catch (err) {
      if (!signal.aborted) log.warn({ driver, err: errorMessage(err) }, 'Cannot wipe slices');
      return false;
    }
  }
}

const isReady = ({ drivers }: PreparedClaim): boolean =>
  Object.values(drivers).every((devices) => devices !== null);
