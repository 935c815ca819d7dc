import { ApiError } from '../../api/errors.ts';
import { type FieldError, invalid, invalidObject } from '../../api/field-errors.ts';
import type { KubeObject, Service } from '../../api/types.ts';
import type { WriteContext } from '../resource-kind.ts';
import type { Reservation, WriteHook } from '../write-hooks.ts';
import { carryOver } from './carry-over.ts';
import type { ClusterIps, Holder } from './cluster-ips.ts';
import { type NodePorts, nodePortsOf } from './node-ports.ts';
import { type Family, settleFamilies } from './service-families.ts';
import {
  addressesOf,
  dropAddresses,
  dropNodePorts,
  needsHealthPort,
  needsNodePorts,
  wantsAddresses,
} from './service-needs.ts';

/** What one write took so far: given back when the write fails. */
interface Taken {
  readonly addresses: string[];
  readonly ports: number[];
}

/** Gives Services cluster IPs and node ports before they are stored, and takes them back afterwards. */
export class ServiceAllocator implements WriteHook {
  readonly #ips: ClusterIps;
  readonly #ports: NodePorts;

  constructor(deps: { ips: ClusterIps; ports: NodePorts }) {
    this.#ips = deps.ips;
    this.#ports = deps.ports;
  }

  async reserve(
    object: KubeObject,
    previous: KubeObject | undefined,
    context: WriteContext,
  ): Promise<Reservation> {
    const service = object as unknown as Service;
    const old = previous as unknown as Service | undefined;
    const { spec } = service;
    const taken: Taken = { addresses: [], ports: [] };
    if (!spec) return this.#reservation(taken, { service, old, context });
    if (old?.spec) carryOver(spec, old.spec);
    try {
      settleFamilies(spec, await this.#families());
      if (wantsAddresses(spec)) await this.#addresses(service, old, { taken, context });
      else if (spec.type === 'ExternalName') dropAddresses(spec);
      this.#nodePorts(service, old, taken);
    } catch (err) {
      await this.#giveBack(taken, context);
      throw err;
    }
    return this.#reservation(taken, { service, old, context });
  }

  async release(object: KubeObject): Promise<void> {
    const { spec } = object as unknown as Service;
    await this.#releaseAll(addressesOf(spec), SYSTEM);
  }

  #reservation(
    taken: Taken,
    write: { service: Service; old: Service | undefined; context: WriteContext },
  ): Reservation {
    const { service, old, context } = write;
    return {
      commit: async () => {
        // The stored Service holds its ports by itself now.
        for (const port of taken.ports) this.#ports.drop(port);
        const kept = new Set(addressesOf(service.spec));
        const left = addressesOf(old?.spec).filter((address) => !kept.has(address));
        if (!context.dryRun) await this.#releaseAll(left, SYSTEM);
      },
      cancel: () => this.#giveBack(taken, context),
    };
  }

  async #families(): Promise<Family[]> {
    const [v4, v6] = await Promise.all([this.#ips.ranges('IPv4'), this.#ips.ranges('IPv6')]);
    return [
      ...(v4.length > 0 ? ['IPv4' as const] : []),
      ...(v6.length > 0 ? ['IPv6' as const] : []),
    ];
  }

  async #addresses(
    service: Service,
    old: Service | undefined,
    { taken, context }: { taken: Taken; context: WriteContext },
  ): Promise<void> {
    const { spec, metadata } = service;
    if (!spec) return;
    const holder = { namespace: metadata.namespace, name: metadata.name };
    const had = new Set(addressesOf(old?.spec));
    const asked = spec.clusterIPs?.length
      ? spec.clusterIPs
      : spec.clusterIP
        ? [spec.clusterIP]
        : [];
    const addresses: string[] = [];
    for (const [index, family] of ((spec.ipFamilies ?? []) as Family[]).entries()) {
      const wanted = asked[index];
      if (wanted !== undefined && had.has(wanted)) {
        addresses.push(wanted);
        continue;
      }
      const address = wanted
        ? await this.#takeNamed(service, wanted, holder, context)
        : await this.#takeAny(family, holder, context);
      taken.addresses.push(address);
      addresses.push(address);
    }
    spec.clusterIPs = addresses;
    spec.clusterIP = addresses[0] ?? '';
  }

  async #takeNamed(
    service: Service,
    address: string,
    holder: Holder,
    context: WriteContext,
  ): Promise<string> {
    const refusal = await this.#ips.take(address, holder, context);
    if (refusal === undefined) return address;
    const why =
      refusal === 'taken'
        ? 'provided IP is already allocated'
        : `the provided network does not match the current range`;
    throw refused(service, [
      invalid('spec.clusterIPs', [address], `failed to allocate IP ${address}: ${why}`),
    ]);
  }

  async #takeAny(family: Family, holder: Holder, context: WriteContext): Promise<string> {
    const address = await this.#ips.takeAny(family, holder, context);
    if (address !== undefined) return address;
    throw new ApiError(
      'InternalError',
      'Internal error occurred: failed to allocate a serviceIP: range is full',
    );
  }

  #nodePorts(service: Service, old: Service | undefined, taken: Taken): void {
    const { spec } = service;
    if (!spec) return;
    if (!needsNodePorts(spec)) {
      if (old?.spec && old.spec.type !== spec.type) dropNodePorts(spec);
      return;
    }
    const mine = new Set(nodePortsOf(old ?? {}));
    const errors: FieldError[] = [];
    // Several protocols of one port share its node port.
    const byPort = new Map<number, number>();
    for (const [index, port] of (spec.ports ?? []).entries()) {
      const field = `spec.ports[${index}].nodePort`;
      if (!port.nodePort) {
        port.nodePort = byPort.get(port.port) ?? this.#anyPort(service, field, taken);
      } else if (!mine.has(port.nodePort)) {
        errors.push(...this.#namedPort(port.nodePort, field, taken));
      }
      byPort.set(port.port, port.nodePort);
    }
    if (needsHealthPort(spec)) {
      spec.healthCheckNodePort ||= this.#anyPort(service, 'spec.healthCheckNodePort', taken);
    }
    if (errors.length > 0) throw refused(service, errors);
  }

  #namedPort(port: number, field: string, taken: Taken): FieldError[] {
    if (taken.ports.includes(port)) return [];
    if (!this.#ports.includes(port)) {
      const { first, last } = this.#ports.range;
      const range = `The range of valid ports is ${first}-${last}`;
      return [invalid(field, port, `provided port is not in the valid range. ${range}`)];
    }
    if (!this.#ports.isFree(port)) {
      return [invalid(field, port, 'provided port is already allocated')];
    }
    this.#ports.hold(port);
    taken.ports.push(port);
    return [];
  }

  #anyPort(service: Service, field: string, taken: Taken): number {
    const port = this.#ports.find();
    if (port === undefined) {
      throw refused(service, [invalid(field, 0, 'failed to allocate a nodePort: range is full')]);
    }
    this.#ports.hold(port);
    taken.ports.push(port);
    return port;
  }

  async #giveBack(taken: Taken, context: WriteContext): Promise<void> {
    for (const port of taken.ports) this.#ports.drop(port);
    if (!context.dryRun) await this.#releaseAll(taken.addresses, SYSTEM);
  }

  async #releaseAll(addresses: readonly string[], context: WriteContext): Promise<void> {
    for (const address of addresses) await this.#ips.release(address, context);
  }
}

const SYSTEM: WriteContext = {
  user: { name: 'system:apiserver', groups: ['system:masters'] },
  dryRun: false,
  now: 0,
  warn: () => {},
};

function refused(service: Service, errors: readonly FieldError[]): ApiError {
  return invalidObject({ group: '', kind: 'Service' }, service.metadata.name, errors);
}
