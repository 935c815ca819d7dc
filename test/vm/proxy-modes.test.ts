import { beforeAll, describe, expect, it } from 'vitest';
import { behavioursOf } from '../support/network/behaviours.ts';
import { runInVirtualMachine } from './virtual-machine.ts';

const LIMIT_MS = 240_000;
/** IPVS in full, as hardly any machine that runs tests has it; of the others the core, on a kernel as it is shipped. */
const CORE = ['answers on the cluster IP', 'carries SCTP'];
const OTHERS = ['iptables', 'nftables', 'userspace'];

const wanted = ['ipvs', ...OTHERS].flatMap((mode) => {
  const { shared, own } = behavioursOf(mode, { sctp: true, emulated: true });
  const names = [...shared, ...own].map(({ name }) => name);
  const isWanted = (name: string) => mode === 'ipvs' || CORE.some((part) => name.includes(part));
  return names.filter(isWanted).map((name) => ({ mode, name }));
});

describe("proxy modes on Debian's kernel", () => {
  let output = '';
  beforeAll(async () => {
    const text = CORE.join('|').replaceAll(' ', '+');
    const modes = ['ipvs', ...OTHERS.map((mode) => `${mode}:${text}`)];
    output = await runInVirtualMachine(modes, LIMIT_MS);
  }, LIMIT_MS + 60_000);

  it.each(wanted)('$mode: $name', ({ mode, name }) => {
    const passed = output.split('\n').some((line) => line.includes(`ok ${mode}: ${name} (`));
    expect(passed, output.slice(-12_000)).toBe(true);
  });
});
