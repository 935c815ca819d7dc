import type { Socket } from 'node:net';
import type { Clock } from '../../util/clock.ts';
import { joinHostPort } from '../../util/ip.ts';
import type { Logger } from '../../util/log.ts';
import type { ProxyBackend } from '../backend.ts';
import {
  changedIds,
  type Endpoint,
  type EndpointChoice,
  type IpFamily,
  type ProxyState,
  type ServicePort,
  usesClusterEndpoints,
  usesLocalEndpoints,
} from '../model.ts';
import { EndpointPicker } from './endpoint-picker.ts';
import type { Relay } from './relay.ts';
import { PortRow, TcpRelay } from './tcp-relay.ts';
import { UdpRelay } from './udp-relay.ts';

export interface UserspaceBackendDeps {
  /** Leads the traffic of Services to the relays, as if they were the endpoints. */
  readonly rules: ProxyBackend;
  readonly clock: Clock;
  readonly log: Logger;
}

type Policy = 'cluster' | 'local';

interface OpenRelay {
  readonly relay: Relay;
  readonly picker: EndpointPicker;
  readonly self: Endpoint;
}

/**
 * The first kube-proxy's way: every connection ends in this process, which opens a second one to an endpoint.
 * To the kernel each service port has one endpoint, the relay, so a change of endpoints writes no rule.
 */
export class UserspaceBackend implements ProxyBackend {
  readonly mode = 'userspace';
  readonly family: IpFamily;
  readonly #deps: UserspaceBackendDeps;
  readonly #address: () => string | undefined;
  #host: string | undefined;
  /** By service port and policy. */
  readonly #relays = new Map<string, OpenRelay>();
  readonly #sockets = new Set<Socket>();
  readonly #ports = new PortRow();
  readonly #seen = new Map<string, ServicePort>();
  readonly #shown = new Map<string, ServicePort>();

  /** `address`: this node's, where the relays listen; asked for anew at each full sync. */
  constructor(deps: UserspaceBackendDeps, address: () => string | undefined) {
    this.#deps = deps;
    this.#address = address;
    this.family = deps.rules.family;
  }

  async sync(
    state: ProxyState,
    options: { full: boolean },
    signal: AbortSignal,
  ): Promise<ProxyState> {
    if (options.full) this.#settle();
    const ids = changedIds(this.#seen, state);
    for (const id of ids) {
      const service = state.services.get(id);
      if (!service) this.#shown.delete(id);
      else if (this.#seen.get(id) !== service) {
        this.#show(id, await this.#withRelays(service));
        this.#seen.set(id, service);
      }
    }
    const shown: ProxyState = { ...state, services: this.#shown };
    await this.#deps.rules.sync(shown, options, signal);
    // Nothing leads to them any more.
    for (const id of ids) if (!state.services.has(id)) this.#retire(id);
    return shown;
  }

  async intact(signal: AbortSignal): Promise<boolean> {
    return await this.#deps.rules.intact(signal);
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    await this.#deps.rules.cleanup(signal);
    this.close();
  }

  close(): void {
    for (const { relay } of this.#relays.values()) relay.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#relays.clear();
    this.#seen.clear();
    this.#shown.clear();
  }

  /** The relays of another address are of no use. */
  #settle(): void {
    const host = this.#address();
    if (host === undefined)
      throw new Error(`This node has no IPv${this.family} address for relays`);
    if (host !== this.#host) this.close();
    this.#host = host;
  }

  #show(id: string, service: ServicePort): void {
    const known = this.#shown.get(id);
    if (known && JSON.stringify(known) === JSON.stringify(service)) return;
    this.#shown.set(id, service);
  }

  /** The service port as the kernel shall see it, its relays listening. */
  async #withRelays(service: ServicePort): Promise<ServicePort> {
    const { any, cluster, local } = service.endpoints;
    const wanted: [Policy, readonly Endpoint[]][] = [
      ['cluster', usesClusterEndpoints(service) ? cluster : []],
      ['local', usesLocalEndpoints(service) ? local : []],
    ];
    const selves: Record<Policy, Endpoint[]> = { cluster: [], local: [] };
    for (const [policy, endpoints] of wanted) {
      const key = `${service.id} ${policy}`;
      const open = this.#relays.get(key) ?? (await this.#open(key, service, endpoints));
      open?.picker.update(endpoints, service.affinitySeconds);
      open?.relay.endpointsChanged();
      if (open && endpoints.length > 0) selves[policy].push(open.self);
    }
    const reachable = [...selves.cluster, ...selves.local];
    const choice: EndpointChoice = {
      ...selves,
      reachable,
      any: any && service.protocol !== 'SCTP',
    };
    return { ...service, endpoints: choice, affinitySeconds: undefined };
  }

  async #open(
    key: string,
    service: ServicePort,
    endpoints: readonly Endpoint[],
  ): Promise<OpenRelay | undefined> {
    const { clock, log } = this.#deps;
    if (endpoints.length === 0) return undefined;
    if (service.protocol === 'SCTP') {
      log.warn({ service: service.name }, 'Userspace mode cannot relay SCTP: it is refused');
      return undefined;
    }
    const picker = new EndpointPicker(clock);
    const relay =
      service.protocol === 'TCP'
        ? new TcpRelay(picker, this.#sockets, this.#ports)
        : new UdpRelay(picker, clock);
    const host = this.#host ?? '';
    const port = await relay.listen(host);
    const open = { relay, picker, self: relayEndpoint(host, port) };
    this.#relays.set(key, open);
    return open;
  }

  #retire(id: string): void {
    for (const policy of ['cluster', 'local'] satisfies Policy[]) {
      this.#relays.get(`${id} ${policy}`)?.relay.close();
      this.#relays.delete(`${id} ${policy}`);
    }
    this.#seen.delete(id);
  }
}

function relayEndpoint(ip: string, port: number): Endpoint {
  return {
    ip,
    port,
    address: joinHostPort(ip, port),
    isLocal: true,
    ready: true,
    serving: true,
    terminating: false,
    zoneHints: [],
    nodeHints: [],
  };
}
