import type { Iptables } from '../../host/iptables.ts';
import type { Logger } from '../../util/log.ts';
import type { ProxyBackend } from '../backend.ts';
import {
  CANARY,
  CANARY_TABLES,
  changeInput,
  cleanupInput,
  fullInput,
  parseSave,
  type Saved,
} from '../iptables-input.ts';
import type { IpFamily, ProxyState } from '../model.ts';
import { isServiceChain } from './chains.ts';
import { isOurs, JUMPS, Ruleset, type RulesetOptions } from './ruleset.ts';

export interface IptablesBackendDeps {
  readonly iptables: Iptables;
  readonly log: Logger;
}

// Of a whole sync over nf_tables, where 1,000 services at once take as long as 10,000 in such parts.
const SERVICES_AT_ONCE = 50;

/** Services as iptables rules; README.md in this folder draws the chains. */
export class IptablesBackend implements ProxyBackend {
  readonly mode = 'iptables';
  readonly family: IpFamily;
  readonly #deps: IptablesBackendDeps;
  readonly #options: () => RulesetOptions;
  #ruleset: Ruleset;

  /** `options` are asked for anew at each full sync. */
  constructor(deps: IptablesBackendDeps, options: () => RulesetOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#ruleset = new Ruleset(options());
    this.family = options().family;
  }

  async sync(
    state: ProxyState,
    options: { full: boolean },
    signal: AbortSignal,
  ): Promise<ProxyState> {
    if (options.full) await this.#writeAll(state, signal);
    else await this.#writeChanges(state, signal);
    return state;
  }

  async #writeAll(state: ProxyState, signal: AbortSignal): Promise<void> {
    const { iptables } = this.#deps;
    const saved = parseSave(await iptables.save(undefined, signal));
    this.#ruleset = new Ruleset(this.#options());
    this.#ruleset.load(state.services);
    if (iptables.nfTables && state.services.size > SERVICES_AT_ONCE) {
      return await this.#writeInParts(saved, signal);
    }
    const rules = { chains: this.#ruleset.all(), jumps: JUMPS };
    await iptables.restore(fullInput(rules, saved, isServiceChain), signal);
  }

  /** Services first, each one whole, then what leads to them; what is left over from others goes last. */
  async #writeInParts(saved: Saved, signal: AbortSignal): Promise<void> {
    const { iptables } = this.#deps;
    const shared = this.#ruleset.shared();
    const wanted = new Set<string>();
    await iptables.restore(changeInput(markChain(shared), []), signal);
    for (const chains of this.#ruleset.byServices(SERVICES_AT_ONCE)) {
      for (const chain of chains.keys()) wanted.add(chain);
      await iptables.restore(changeInput(chains, []), signal);
    }
    const isStale = (chain: string) => isServiceChain(chain) && !wanted.has(`nat ${chain}`);
    await iptables.restore(fullInput({ chains: shared, jumps: JUMPS }, saved, isStale), signal);
  }

  async #writeChanges(state: ProxyState, signal: AbortSignal): Promise<void> {
    const { write, remove } = this.#ruleset.update(state.services, state.changed);
    if (write.size === 0 && remove.length === 0) return;
    const input = changeInput(write, remove);
    this.#deps.log.trace({ family: this.family, input }, 'Restoring iptables');
    await this.#deps.iptables.restore(input, signal);
  }

  async intact(signal: AbortSignal): Promise<boolean> {
    for (const table of CANARY_TABLES) {
      if (!(await this.#deps.iptables.chainExists(table, CANARY, signal))) return false;
    }
    return true;
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    const { iptables } = this.#deps;
    const input = cleanupInput(parseSave(await iptables.save(undefined, signal)), isOurs);
    if (input !== '') await iptables.restore(input, signal);
  }
}

/** The one shared chain that services' own chains lead to. */
function markChain(shared: ReadonlyMap<string, readonly string[]>): Map<string, readonly string[]> {
  const name = 'nat KUBE-MARK-MASQ';
  return new Map([[name, shared.get(name) ?? []]]);
}
