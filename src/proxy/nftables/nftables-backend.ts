import type { Nft } from '../../host/nft.ts';
import type { Logger } from '../../util/log.ts';
import type { ProxyBackend } from '../backend.ts';
import type { IpFamily, ProxyState } from '../model.ts';
import type { TableOptions } from './fixed-table.ts';
import { Ruleset, tableOf } from './ruleset.ts';

export interface NftablesBackendDeps {
  readonly nft: Nft;
  readonly log: Logger;
}

/** Services as one nftables table per family; README.md in this folder draws the chains. */
export class NftablesBackend implements ProxyBackend {
  readonly mode = 'nftables';
  readonly family: IpFamily;
  readonly #deps: NftablesBackendDeps;
  readonly #options: () => TableOptions;
  readonly #table: string;
  #ruleset: Ruleset;

  /** `options` are asked for anew at each full sync. */
  constructor(deps: NftablesBackendDeps, options: () => TableOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#ruleset = new Ruleset(options());
    this.#table = tableOf(options());
    this.family = options().family;
  }

  async sync(
    state: ProxyState,
    options: { full: boolean },
    signal: AbortSignal,
  ): Promise<ProxyState> {
    const { nft, log } = this.#deps;
    const { services } = state;
    if (options.full) {
      this.#ruleset = new Ruleset(this.#options());
      await nft.transaction(this.#ruleset.create(services), signal);
      return state;
    }
    const commands = this.#ruleset.update(services, state.changed);
    log.trace({ family: this.family, commands }, 'Running an nftables transaction');
    if (commands.length > 0) await nft.transaction(commands, signal);
    return state;
  }

  async intact(signal: AbortSignal): Promise<boolean> {
    // Goes with the table, and with the jumps when somebody flushes them. A listing would fetch everything.
    return await this.#deps.nft.isInUse(this.#table, 'masquerading', signal);
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    // Adding first: to delete what is not there would be an error.
    const commands = `add table ${this.#table}\ndelete table ${this.#table}\n`;
    await this.#deps.nft.transaction(commands, signal);
  }
}

/** Why this kernel or nft cannot do it; undefined when it can. Sets with several keys need Linux 5.13 (KEP-3866). */
export function nftablesUnfit(kernelRelease: string, nftVersion: string): string | undefined {
  if (!atLeast(kernelRelease, [5, 13])) {
    return `nftables mode needs Linux 5.13 or newer, this is ${kernelRelease}`;
  }
  if (!atLeast(nftVersion, [1, 0, 1])) {
    return `nftables mode needs nft 1.0.1 or newer, this is ${nftVersion}`;
  }
  return undefined;
}

function atLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split(/[^\d]+/).map(Number);
  for (const [index, want] of wanted.entries()) {
    const have = parts[index] ?? 0;
    if (have !== want) return have > want;
  }
  return true;
}
