import { run } from './exec.ts';

/** The nft program. */
export interface Nft {
  /** Applies commands in one transaction: all or none. One text, or lines that are asked for as they are read. */
  transaction(commands: string | Iterable<string>, signal?: AbortSignal): Promise<void>;
  /** The text of a chain; undefined when there is no such chain. */
  listChain(table: string, chain: string, signal?: AbortSignal): Promise<string | undefined>;
  /** Whether there is such a chain and some rule leads to it. As cheap with 10,000 rules as with one. */
  isInUse(table: string, chain: string, signal?: AbortSignal): Promise<boolean>;
  /** As `1.0.6`. */
  version(signal?: AbortSignal): Promise<string>;
}

export const nft: Nft = {
  async transaction(commands, signal) {
    const input = typeof commands === 'string' ? commands : pieces(commands);
    await run('nft', ['-f', '-'], { input }, signal);
  },
  async listChain(table, chain, signal) {
    const args = ['list', 'chain', ...table.split(' '), chain];
    const { stdout, exitCode } = await run('nft', args, { acceptExitCodes: [0, 1] }, signal);
    return exitCode === 0 ? stdout : undefined;
  },
  async isInUse(table, chain, signal) {
    // A trial (-c) that changes nothing: only the use of a chain stands against its deletion.
    const args = ['-c', 'delete', 'chain', ...table.split(' '), chain];
    const options = { acceptExitCodes: [0, 1], env: { LC_ALL: 'C' } };
    const { exitCode, stderr } = await run('nft', args, options, signal);
    return exitCode === 1 && stderr.includes('busy');
  },
  async version(signal) {
    const { stdout } = await run('nft', ['--version'], {}, signal);
    return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? stdout.trim();
  },
};

const PIECE = 1 << 16;

/** Lines as text in pieces of a size that is worth a write. */
function* pieces(lines: Iterable<string>): Generator<string> {
  let piece: string[] = [];
  let size = 0;
  for (const line of lines) {
    piece.push(line);
    size += line.length;
    if (size < PIECE) continue;
    yield `${piece.join('\n')}\n`;
    piece = [];
    size = 0;
  }
  if (piece.length > 0) yield `${piece.join('\n')}\n`;
}
