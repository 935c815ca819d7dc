import { type Element, type ElementChanges, ElementStore } from '../element-store.ts';
import { changedIds, type ServicePort } from '../model.ts';
import { fixedTable, type TableOptions } from './fixed-table.ts';
import { renderService, type ServiceRules } from './service-rules.ts';

const NO_ELEMENTS: ElementChanges = { gone: [], fresh: [] };
const NOTHING: ServiceRules = { elements: [], chains: new Map(), affinitySets: new Map() };

/**
 * The rules of all services as one nftables table. `update` renders only services that are new objects and
 * answers the commands that lead from the last call to this one. Pure but for what it remembers: of services the
 * objects, not their rules, which would take four times the memory and can be rendered again.
 */
export class Ruleset {
  readonly #options: TableOptions;
  readonly #elements = new ElementStore();
  #services = new Map<string, ServicePort>();

  constructor(options: TableOptions) {
    this.#options = options;
  }

  /**
   * nft commands for one transaction; empty when nothing changed. `changed`: service ports that may differ from the last call;
   * all of them without it.
   */
  update(services: ReadonlyMap<string, ServicePort>, changed?: ReadonlySet<string>): string[] {
    const changes = new Changes(tableOf(this.#options));
    for (const id of changedIds(this.#services, { services, changed })) {
      const [before, service] = [this.#services.get(id), services.get(id)];
      if (before === service) continue;
      this.#replace(before, service, changes);
      if (service) this.#services.set(id, service);
      else this.#services.delete(id);
    }
    const commands = changes.commands(this.#elements.takeChanges());
    return changes.rebuild ? [...new Ruleset(this.#options).create(services)] : commands;
  }

  /**
   * Commands that make the table anew, whatever was there: in one transaction nobody sees it missing. They come service by
   * service, as together they take more memory than the services; all of them are to be taken before the next call.
   */
  *create(services: ReadonlyMap<string, ServicePort>): Generator<string> {
    const table = tableOf(this.#options);
    yield `add table ${table}`;
    yield `delete table ${table}`;
    yield* fixedTable(this.#options);
    this.#services = new Map(services);
    for (const service of this.#services.values()) {
      const changes = new Changes(table);
      this.#replace(undefined, service, changes);
      yield* changes.commands(NO_ELEMENTS);
    }
    // Maps lead to chains, so these come last.
    for (const entry of this.#elements.changesFrom([]).fresh)
      yield elementLine('add', table, entry);
  }

  #replace(old: ServicePort | undefined, young: ServicePort | undefined, changes: Changes): void {
    const before = old ? renderService(old, this.#options) : NOTHING;
    const after = young ? renderService(young, this.#options) : NOTHING;
    for (const element of before.elements) this.#elements.remove(element);
    for (const element of after.elements) this.#elements.add(element);
    changes.compare(before, after);
  }
}

export function tableOf({ family }: TableOptions): string {
  return family === 4 ? 'ip kube-proxy' : 'ip6 kube-proxy';
}

/** Collects commands in the order that nft wants: what is referred to comes before and goes after. */
class Changes {
  readonly #table: string;
  readonly #family: string;
  readonly #create: string[] = [];
  readonly #fill: string[] = [];
  readonly #empty: string[] = [];
  readonly #delete: string[] = [];
  /** There is no way by small steps. */
  rebuild = false;

  constructor(table: string) {
    this.#table = table;
    this.#family = table.startsWith('ip6') ? 'ipv6_addr' : 'ipv4_addr';
  }

  compare(before: ServiceRules, after: ServiceRules): void {
    for (const [set, seconds] of after.affinitySets) {
      this.#set(set, before.affinitySets.get(set), seconds);
    }
    for (const [chain, rules] of after.chains) this.#chain(chain, before.chains.get(chain), rules);
    for (const chain of before.chains.keys()) {
      if (after.chains.has(chain)) continue;
      this.#empty.push(`flush chain ${this.#table} ${chain}`);
      this.#delete.push(`delete chain ${this.#table} ${chain}`);
    }
    for (const set of before.affinitySets.keys()) {
      if (!after.affinitySets.has(set)) this.#delete.push(`delete set ${this.#table} ${set}`);
    }
  }

  #set(name: string, known: number | undefined, seconds: number): void {
    if (known === seconds) return;
    // The time-out of a set that rules refer to cannot be changed.
    if (known !== undefined) this.rebuild = true;
    const type = `type ${this.#family} ; flags dynamic,timeout ; timeout ${seconds}s ;`;
    this.#create.push(`add set ${this.#table} ${name} { ${type} }`);
  }

  #chain(name: string, known: readonly string[] | undefined, rules: readonly string[]): void {
    if (known && known.join('\n') === rules.join('\n')) return;
    this.#create.push(
      known ? `flush chain ${this.#table} ${name}` : `add chain ${this.#table} ${name}`,
    );
    for (const rule of rules) this.#fill.push(`add rule ${this.#table} ${name} ${rule}`);
  }

  commands(elements: ElementChanges): string[] {
    const on = (verb: string) => (entry: Element) => elementLine(verb, this.#table, entry);
    return [
      ...this.#create,
      ...this.#fill,
      ...elements.gone.map((entry) => on('delete')({ ...entry, value: '' })),
      ...elements.fresh.map(on('add')),
      ...this.#empty,
      ...this.#delete,
    ];
  }
}

function elementLine(verb: string, table: string, { set, key, value }: Element): string {
  return `${verb} element ${table} ${set} { ${key}${value === '' ? '' : ` : ${value}`} }`;
}
