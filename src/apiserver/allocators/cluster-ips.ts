import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import type { IPAddress, KubeObject, ServiceCIDR } from '../../api/types.ts';
import type { ResourceKind, WriteContext } from '../resource-kind.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';
import {
  addressAt,
  canonical,
  contains,
  type IpRange,
  parseRange,
  staticBand,
} from './ip-range.ts';

export interface ClusterIpDeps {
  readonly state: State;
  /** Late, since the store is made with what this is part of. */
  readonly store: () => ResourceStore;
  readonly addressKind: ResourceKind;
  readonly rangeKind: ResourceKind;
}

export interface Holder {
  readonly namespace: string;
  readonly name: string;
}

/** Why an address that was asked for by name cannot be had. */
export type Refusal = 'not in range' | 'taken';

const RANDOM_TRIES = 16;

/**
 * Gives Services their addresses. An address belongs to whoever creates the IPAddress object of its name, so that
 * several API servers never give it twice (KEP-1880). Ranges come from ServiceCIDR objects.
 */
export class ClusterIps {
  readonly #deps: ClusterIpDeps;

  constructor(deps: ClusterIpDeps) {
    this.#deps = deps;
  }

  /** The ranges of a family that addresses may be taken from. */
  async ranges(family: 'IPv4' | 'IPv6'): Promise<IpRange[]> {
    const cache = await this.#deps.state.cache(this.#deps.rangeKind);
    const ranges: IpRange[] = [];
    for (const entry of cache.slice('')) {
      const { metadata, spec } = parseObject(entry.served.bytes) as unknown as ServiceCIDR;
      if (metadata.deletionTimestamp) continue;
      for (const cidr of spec?.cidrs ?? []) {
        const range = parseRange(cidr);
        if (range?.family === family) ranges.push(range);
      }
    }
    return ranges;
  }

  /** Takes this address, or says why not. */
  async take(address: string, holder: Holder, context: WriteContext): Promise<Refusal | undefined> {
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    const ranges = await this.ranges(family);
    if (!ranges.some((range) => contains(range, address))) return 'not in range';
    return (await this.#claim(canonical(address), holder, context)) ? undefined : 'taken';
  }

  /** Takes any free address; undefined when there is none. */
  async takeAny(
    family: 'IPv4' | 'IPv6',
    holder: Holder,
    context: WriteContext,
  ): Promise<string | undefined> {
    for (const range of await this.ranges(family)) {
      const band = staticBand(range);
      const found =
        (await this.#random(range, band, holder, context)) ??
        (await this.#scan(range, band, holder, context));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async release(address: string, context: WriteContext): Promise<void> {
    const { store, addressKind } = this.#deps;
    const key = { namespace: '', name: canonical(address) };
    try {
      await store().delete(addressKind, key, { dryRun: false }, context);
    } catch (err) {
      if (!isNotFound(err)) throw err;
    }
  }

  async #random(
    range: IpRange,
    band: bigint,
    holder: Holder,
    context: WriteContext,
  ): Promise<string | undefined> {
    const span = Number(range.size - band);
    for (let i = 0; i < RANDOM_TRIES && span > 0; i++) {
      const address = addressAt(range, band + BigInt(Math.floor(Math.random() * span)));
      if (await this.#claim(address, holder, context)) return address;
    }
    return undefined;
  }

  /** Every address, the ones that are left to names last. */
  async #scan(
    range: IpRange,
    band: bigint,
    holder: Holder,
    context: WriteContext,
  ): Promise<string | undefined> {
    for (let i = 0n; i < range.size; i++) {
      const address = addressAt(range, (band + i) % range.size);
      if (await this.#claim(address, holder, context)) return address;
    }
    return undefined;
  }

  async #claim(address: string, holder: Holder, context: WriteContext): Promise<boolean> {
    const { state, store, addressKind } = this.#deps;
    const cache = await state.cache(addressKind);
    if (cache.get(address)) return false;
    try {
      await store().create(addressKind, addressObject(address, holder), context);
      return true;
    } catch (err) {
      if (isAlreadyExists(err)) return false;
      throw err;
    }
  }
}

function addressObject(address: string, { namespace, name }: Holder): KubeObject {
  const object: Omit<IPAddress, 'metadata'> & { metadata: KubeObject['metadata'] } = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: {
      name: address,
      labels: {
        'ipaddress.kubernetes.io/ip-family': address.includes(':') ? 'IPv6' : 'IPv4',
        'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
      },
    },
    spec: { parentRef: { group: '', resource: 'services', namespace, name } },
  };
  return object as unknown as KubeObject;
}
