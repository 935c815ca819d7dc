import type { DummyDevice } from '../../host/dummy-device.ts';
import type { Ipset } from '../../host/ipset.ts';
import type { Iptables } from '../../host/iptables.ts';
import type { Ipvs } from '../../host/ipvs.ts';
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/log.ts';
import type { ProxyBackend } from '../backend.ts';
import { type ElementChanges, ElementStore, type WholeChanges } from '../element-store.ts';
import { CANARY, CANARY_TABLES, cleanupInput, fullInput, parseSave } from '../iptables-input.ts';
import { changedIds, type IpFamily, type ProxyState, type ServicePort } from '../model.ts';
import { type IpvsCommands, ipvsCommands } from './commands.ts';
import { isOurs, type RuleOptions, wholeRules } from './iptables-rules.ts';
import { idleDestinations, type KernelState, ownElements } from './kernel-state.ts';
import { ServerOwners } from './server-owners.ts';
import {
  type IpvsElement,
  type IpvsSet,
  renderService,
  type ServiceOptions,
} from './service-rules.ts';
import { createLine, kernelName, SET_NAMES } from './sets.ts';

export interface IpvsBackendDeps {
  readonly ipvs: Ipvs;
  readonly ipset: Ipset;
  readonly iptables: Iptables;
  /** kube-ipvs0. */
  readonly device: DummyDevice;
  readonly clock: Clock;
  readonly log: Logger;
}

export type IpvsOptions = RuleOptions & ServiceOptions;

// How often destinations without service are looked at: are their last connections over?
const REAP_INTERVAL_MS = 30_000;

/** Services as virtual servers of the kernel's load balancer (IPVS); README.md in this folder shows the parts. */
export class IpvsBackend implements ProxyBackend {
  readonly mode = 'ipvs';
  readonly family: IpFamily;
  readonly #deps: IpvsBackendDeps;
  readonly #options: () => IpvsOptions;
  #current: IpvsOptions;
  #store = new ElementStore<IpvsSet>();
  #owners = new ServerOwners();
  /** What of them is wanted can be rendered again: kept it would take as much memory as they do. */
  #services = new Map<string, ServicePort>();
  /** Of service ports that are denied a part of what they want: what is left to them. */
  readonly #reduced = new Map<string, IpvsElement[]>();
  /** Destinations of weight 0 that keep what connections they have. */
  #draining = new Set<string>();
  #reapedAt: number;

  /** `options` are asked for anew at each full sync. */
  constructor(deps: IpvsBackendDeps, options: () => IpvsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#current = options();
    this.family = this.#current.family;
    this.#reapedAt = deps.clock.now();
  }

  async sync(
    state: ProxyState,
    options: { full: boolean },
    signal: AbortSignal,
  ): Promise<ProxyState> {
    if (options.full) await this.#writeAll(state, signal);
    else {
      this.#update(state);
      await this.#apply(this.#commands(this.#store.takeChanges()), signal);
    }
    await this.#reap(signal);
    return state;
  }

  async intact(signal: AbortSignal): Promise<boolean> {
    await this.#reap(signal);
    const { iptables, ipvs, device } = this.#deps;
    for (const table of CANARY_TABLES) {
      if (!(await iptables.chainExists(table, CANARY, signal))) return false;
    }
    const addresses = new Set(await device.addresses(this.family, signal));
    const servers = await ipvs.services(signal);
    return (
      [...this.#services.values()].every(({ clusterIP }) => addresses.has(clusterIP)) &&
      servers.isSupersetOf(this.#owners.servers)
    );
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    const { iptables, ipset, device } = this.#deps;
    const held = await this.#held(signal);
    const { elements } = ownElements(held, this.family);
    const input = cleanupInput(parseSave(await iptables.save(undefined, signal)), isOurs);
    if (input !== '') await iptables.restore(input, signal);
    await this.#apply(this.#commands({ gone: elements, fresh: [] }), signal);
    const names = SET_NAMES.map((set) => kernelName(set, this.family));
    await ipset.restore(
      names.filter((name) => held.sets.has(name)).map((name) => `destroy ${name}`),
      signal,
    );
    const left = [...(await device.addresses(4, signal)), ...(await device.addresses(6, signal))];
    if (left.length === 0) await device.remove(signal);
  }

  async #writeAll(state: ProxyState, signal: AbortSignal): Promise<void> {
    const { iptables, ipset, device } = this.#deps;
    this.#current = this.#options();
    this.#store = new ElementStore();
    this.#owners = new ServerOwners();
    this.#services = new Map();
    this.#reduced.clear();
    this.#update({ ...state, changed: undefined });
    await device.ensure(signal);
    await ipset.restore(
      SET_NAMES.map((set) => createLine(set, this.family)),
      signal,
    );
    const saved = parseSave(await iptables.save(undefined, signal));
    await iptables.restore(fullInput(wholeRules(this.#current), saved), signal);
    const held = await this.#held(signal);
    const { elements, draining } = ownElements(held, this.family, this.#owners.servers);
    this.#draining = draining;
    for (const changes of inParts(this.#store.changesFrom(elements))) {
      await this.#apply(this.#commands(changes), signal);
    }
  }

  /** What a service port that is known has in the kernel. */
  #elementsOf(id: string): IpvsElement[] {
    const reduced = this.#reduced.get(id);
    if (reduced) return reduced;
    const service = this.#services.get(id);
    return service ? renderService(service, this.#current) : [];
  }

  async #held(signal: AbortSignal): Promise<KernelState> {
    const { ipvs, ipset, device } = this.#deps;
    return {
      servers: await ipvs.list(signal),
      sets: await ipset.save(signal),
      addresses: await device.addresses(this.family, signal),
    };
  }

  #update(state: ProxyState): void {
    const { services } = state;
    const ids = [...changedIds(this.#services, state)];
    const isOther = (id: string) => this.#services.get(id) !== services.get(id);
    // Those that go first: others may want what they had.
    for (const id of ids) if (!services.has(id)) this.#replace(id, undefined);
    for (const id of ids) if (isOther(id)) this.#replace(id, services.get(id));
    for (const id of this.#owners.takeHopeful()) this.#replace(id, services.get(id));
  }

  #replace(id: string, service: ServicePort | undefined): void {
    const wanted = service ? renderService(service, this.#current) : [];
    const had = this.#elementsOf(id);
    const elements = this.#owners.grant(id, wanted, had);
    // Adding first: what is in both never counts as gone.
    for (const element of elements) this.#store.add(element);
    for (const element of had) this.#store.remove(element);
    if (elements.length === wanted.length) this.#reduced.delete(id);
    else this.#reduced.set(id, elements);
    if (service) this.#services.set(id, service);
    else this.#services.delete(id);
  }

  #commands(changes: ElementChanges<IpvsSet>): IpvsCommands {
    return ipvsCommands(changes, this.#draining, this.family);
  }

  async #apply({ sets, servers, addresses }: IpvsCommands, signal: AbortSignal): Promise<void> {
    const { ipset, ipvs, device, log } = this.#deps;
    log.trace({ family: this.family, sets, servers, addresses }, 'Changing IPVS');
    await ipset.restore(sets, signal);
    await ipvs.restore(servers, signal);
    await device.change(addresses, signal);
  }

  /** Takes out destinations whose last connection is over. */
  async #reap(signal: AbortSignal): Promise<void> {
    const { ipvs, clock } = this.#deps;
    if (this.#draining.size === 0 || clock.now() - this.#reapedAt < REAP_INTERVAL_MS) return;
    this.#reapedAt = clock.now();
    const idle = idleDestinations(await ipvs.list(signal));
    const over = [...this.#draining].filter((key) => idle.has(key));
    for (const key of over) this.#draining.delete(key);
    await ipvs.restore(
      over.map((key) => `-d ${key}`),
      signal,
    );
  }
}

/** So many that one run of a tool is nothing beside them, and few enough for their text to be nothing beside all. */
const PART = 5_000;

/** A kernel without anything of ours is filled part by part, each service's entries in their order. */
function* inParts({ gone, fresh }: WholeChanges<IpvsSet>): Generator<ElementChanges<IpvsSet>> {
  if (gone.length > 0) return yield { gone, fresh: [...fresh] };
  let part: IpvsElement[] = [];
  for (const element of fresh) {
    part.push(element);
    if (part.length < PART) continue;
    yield { gone, fresh: part };
    part = [];
  }
  if (part.length > 0) yield { gone, fresh: part };
}
