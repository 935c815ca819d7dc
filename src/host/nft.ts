import { run } from './exec.ts';

/** The nft program. */
export interface Nft {
  /** Applies commands in one transaction: all or none. */
  transaction(commands: string, signal?: AbortSignal): Promise<void>;
  /** The text of a chain; undefined when there is no such chain. */
  listChain(table: string, chain: string, signal?: AbortSignal): Promise<string | undefined>;
  /** As `1.0.6`. */
  version(signal?: AbortSignal): Promise<string>;
}

export const nft: Nft = {
  async transaction(commands, signal) {
    await run('nft', ['-f', '-'], { input: commands }, signal);
  },
  async listChain(table, chain, signal) {
    const args = ['list', 'chain', ...table.split(' '), chain];
    const { stdout, exitCode } = await run('nft', args, { acceptExitCodes: [0, 1] }, signal);
    return exitCode === 0 ? stdout : undefined;
  },
  async version(signal) {
    const { stdout } = await run('nft', ['--version'], {}, signal);
    return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? stdout.trim();
  },
};
