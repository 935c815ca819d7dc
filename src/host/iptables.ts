import { CommandError, isMissingProgram, type RunResult, run } from './exec.ts';

/** One family's iptables, by the programs of one variant (legacy or nf_tables). */
export interface Iptables {
  /** What `iptables-save` prints: the rules of one table, or of all. */
  save(table: string | undefined, signal?: AbortSignal): Promise<string>;
  /** Applies `iptables-restore` input without flushing what it does not name. All or nothing per table. */
  restore(input: string, signal?: AbortSignal): Promise<void>;
  chainExists(table: string, chain: string, signal?: AbortSignal): Promise<boolean>;
  /** MASQUERADE knows --random-fully. */
  readonly randomFully: boolean;
  /** The variant over nf_tables, whose restore touches only what it names, but takes the square of the number of chains. */
  readonly nfTables: boolean;
}

// How long another program may hold the xtables lock.
const WAIT_SECONDS = '5';

type Variant = '' | '-nft' | '-legacy';

/** The iptables of `family` in the variant that this machine uses. Rejects when there is none. */
export async function openIptables(family: 4 | 6, signal?: AbortSignal): Promise<Iptables> {
  const base = family === 4 ? 'iptables' : 'ip6tables';
  const variant = await variantInUse(base, signal);
  const { stdout: version } = await run(`${base}${variant}`, ['--version'], {}, signal);
  return {
    randomFully: supportsRandomFully(version),
    nfTables: version.includes('nf_tables'),
    async save(table, abort) {
      const args = table === undefined ? [] : ['-t', table];
      return (await run(`${base}${variant}-save`, args, {}, abort)).stdout;
    },
    async restore(input, abort) {
      const args = ['--noflush', '--counters', '-w', WAIT_SECONDS];
      try {
        await run(`${base}${variant}-restore`, args, { input }, abort);
      } catch (err) {
        throw err instanceof CommandError ? withRule(err, input) : err;
      }
    },
    async chainExists(table, chain, abort) {
      const args = ['-w', WAIT_SECONDS, '-t', table, '-S', chain, '1'];
      const accept = { acceptExitCodes: [0, 1, 2] };
      return (await run(`${base}${variant}`, args, accept, abort)).exitCode === 0;
    },
  };
}

/** With the rule that was refused: the program often tells no more than the number of its line. */
export function withRule(err: CommandError, input: string): CommandError {
  const number = Number(/\bline:? (\d+)/.exec(err.stderr)?.[1]);
  const rule = input.split('\n')[number - 1];
  if (!rule?.startsWith('-')) return err;
  const { program, exitCode, stderr, missing } = err;
  const message = `${err.message.trimEnd()} (${rule})`;
  return new CommandError(message, { program, exitCode, stderr, missing, cause: err });
}

/** `--random-fully` came with iptables 1.6.2. */
export function supportsRandomFully(version: string): boolean {
  const [, major, minor, patch] = /v(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  return Number(major) * 10_000 + Number(minor) * 100 + Number(patch) >= 10_602;
}

/**
 * Both variants may be installed, and rules of one are invisible to the other. The kubelet's hint chains
 * decide; without them the variant that holds more rules; without rules the machine's default.
 */
async function variantInUse(base: string, signal?: AbortSignal): Promise<Variant> {
  const [legacy, nft] = await Promise.all([
    tryRun(`${base}-legacy-save`, signal),
    tryRun(`${base}-nft-save`, signal),
  ]);
  return chooseVariant(legacy?.stdout, nft?.stdout);
}

/** Pure part of the choice: what each variant's save printed; undefined where it is not there. */
export function chooseVariant(legacy: string | undefined, nft: string | undefined): Variant {
  if (legacy === undefined || nft === undefined) return '';
  const hint = /^:KUBE-(IPTABLES-HINT|KUBELET-CANARY|PROXY-CANARY) /m;
  if (hint.test(nft)) return '-nft';
  if (hint.test(legacy)) return '-legacy';
  const inLegacy = countRules(legacy);
  const inNft = countRules(nft);
  if (inLegacy === inNft) return '';
  return inLegacy > inNft ? '-legacy' : '-nft';
}

function countRules(save: string): number {
  return save.split('\n').filter((line) => line.startsWith('-A')).length;
}

async function tryRun(program: string, signal?: AbortSignal): Promise<RunResult | undefined> {
  try {
    const result = await run(program, [], { acceptExitCodes: [0, 1, 2, 3, 4] }, signal);
    // A kernel without the legacy tables answers with a failure: that variant cannot be in use.
    return result.exitCode === 0 ? result : undefined;
  } catch (err) {
    if (isMissingProgram(err)) return undefined;
    throw err;
  }
}
