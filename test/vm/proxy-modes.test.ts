import { beforeAll, describe, expect, it } from 'vitest';
import { POLICY_SCENARIOS } from '../support/network/policy-scenarios.ts';
import { CARE } from '../support/network/proxy-care.ts';
import { SCENARIOS } from '../support/network/proxy-scenarios.ts';
import { runInVirtualMachine } from './virtual-machine.ts';

const LIMIT_MS = 240_000;
/** IPVS in full, as hardly any machine that runs tests has it; of the others the core, on a kernel as it is shipped. */
const CORE = 'answers on the cluster IP';
const OTHERS = ['iptables', 'nftables', 'userspace'];

const wanted = [
  ...[...SCENARIOS, ...POLICY_SCENARIOS, ...CARE]
    .filter(({ except, slow }) => except?.ipvs === undefined && !slow)
    .map(({ name }) => ({ mode: 'ipvs', name })),
  ...OTHERS.flatMap((mode) =>
    SCENARIOS.filter(({ name }) => name.includes(CORE)).map(({ name }) => ({ mode, name })),
  ),
];

describe("proxy modes on Debian's kernel", () => {
  let output = '';
  beforeAll(async () => {
    const modes = ['ipvs', ...OTHERS.map((mode) => `${mode}:${CORE.replaceAll(' ', '+')}`)];
    output = await runInVirtualMachine(modes, LIMIT_MS);
  }, LIMIT_MS + 60_000);

  it.each(wanted)('$mode: $name', ({ mode, name }) => {
    const passed = output.split('\n').some((line) => line.includes(`ok ${mode}: ${name} (`));
    expect(passed, output.slice(-12_000)).toBe(true);
  });
});
