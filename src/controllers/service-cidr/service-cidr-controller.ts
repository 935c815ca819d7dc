import { IP_ADDRESSES, type ObjectKey, SERVICE_CIDRS } from '../../api/resource-types.ts';
import { timeString } from '../../api/times.ts';
import type { IPAddress, ServiceCIDR } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { StatusWriter } from '../status-writer.ts';
import { unlessGone } from '../unless-gone.ts';
import { holdsAddress, isNeeded, overlaps } from './ranges.ts';

const FINALIZER = 'networking.k8s.io/service-cidr-finalizer';
/** API servers may still give an address of a range that is going, until they have all learned of it. */
const GRACE_MS = 10_000;

interface Deps extends Pick<ControllerContext, 'client' | 'clock'> {
  readonly ranges: Informer<ServiceCIDR>;
  readonly addresses: Informer<IPAddress>;
  readonly statuses: StatusWriter<ServiceCIDR>;
}

export function serviceCidrController(context: ControllerContext): Runnable {
  const { client, clock, informers } = context;
  const ranges = informers.get(SERVICE_CIDRS);
  const addresses = informers.get(IP_ADDRESSES);
  const statuses = new StatusWriter(client, ranges);
  const deps = { client, clock, ranges, addresses, statuses };
  const controller = newController(context, new ServiceCidrReconciler(deps));
  // Another range, or one less, may free or hold those that it overlaps with.
  controller.watch(ranges, (range) => [
    keyOf(range),
    ...ranges.list().flatMap((other) => (overlaps(other, range) ? [keyOf(other)] : [])),
  ]);
  controller.needs(addresses);
  const tell = (address: IPAddress) => {
    for (const range of ranges.list()) {
      const going = range.metadata.deletionTimestamp !== undefined;
      if (going && holdsAddress(range, address)) controller.enqueue(keyOf(range));
    }
  };
  addresses.addHandler({ onAdd: tell, onDelete: tell });
  return controller;
}

/** Keeps a range of Services as long as an address is taken from it alone, and says whether it may be used (KEP-1880). */
class ServiceCidrReconciler implements Reconciler {
  readonly name = 'service-cidr-controller';
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { statuses, clock, ranges, addresses } = this.#deps;
    const range = statuses.get(key);
    if (!range) return DONE;
    const { deletionTimestamp } = range.metadata;
    if (!deletionTimestamp) {
      const held = await this.#hold(range);
      await this.#tell(held, { status: 'True', reason: '', message: READY });
      return DONE;
    }
    if (isNeeded(range, ranges.list(), addresses.list())) {
      await this.#tell(range, { status: 'False', reason: 'Terminating', message: STILL_USED });
      return DONE;
    }
    const left = Date.parse(deletionTimestamp) + GRACE_MS - clock.now();
    if (left > 0) return { requeueAfterMs: left };
    await this.#letGo(range);
    return DONE;
  }

  async #hold(range: ServiceCIDR): Promise<ServiceCIDR> {
    const { finalizers = [] } = range.metadata;
    if (finalizers.includes(FINALIZER)) return range;
    return this.#write(range, [...finalizers, FINALIZER]);
  }

  async #letGo(range: ServiceCIDR): Promise<void> {
    const { finalizers = [] } = range.metadata;
    if (!finalizers.includes(FINALIZER)) return;
    await this.#write(
      range,
      finalizers.filter((name) => name !== FINALIZER),
    );
  }

  /** A merge patch replaces the list: the revision guards what others have put there. */
  async #write(range: ServiceCIDR, finalizers: readonly string[]): Promise<ServiceCIDR> {
    const { name, uid, resourceVersion } = range.metadata;
    const body = { metadata: { uid, resourceVersion, finalizers } };
    const patch = { type: 'merge', body } as const;
    const work = this.#deps.client.patch(SERVICE_CIDRS, { namespace: '', name }, patch);
    return (await unlessGone(work)) ?? range;
  }

  async #tell(
    range: ServiceCIDR,
    says: { status: 'True' | 'False'; reason: string; message: string },
  ): Promise<void> {
    const known = range.status?.conditions ?? [];
    const before = known.find(({ type }) => type === 'Ready');
    if (before?.status === says.status && before.reason === says.reason) return;
    const lastTransitionTime = timeString(this.#deps.clock.now());
    const ready = { type: 'Ready', ...says, lastTransitionTime };
    const conditions = [...known.filter((condition) => condition !== before), ready];
    await this.#deps.statuses.write(range, { ...range.status, conditions });
  }
}

const READY = 'Kubernetes Service CIDR is ready';
const STILL_USED =
  'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR';
