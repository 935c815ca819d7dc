import { beforeAll, describe, expect, it } from 'vitest';
import { behavioursOf } from '../support/network/behaviours.ts';
import { runInVirtualMachine } from './virtual-machine.ts';

// Bounded: on an idle machine of two cores it is a fifth of this.
const LIMIT_MS = 1_500_000;
const PROGRAM = 'test/support/network/run-scenarios.ts';
/** IPVS in full, as hardly any machine that runs tests has it; of the others the core, on a kernel as it is shipped. */
const CORE = [
  'answers on the cluster IP',
  'keeps the source address of Pods',
  'refuses connections to a Service without endpoints',
  'keeps a client on its endpoint',
  'carries SCTP',
];
const OTHERS = ['iptables', 'nftables', 'userspace'];
const KERNEL = { sctp: true, emulated: true };

interface Run {
  readonly what: string;
  /** What the machine is asked to run. */
  readonly modes: readonly string[];
  readonly wanted: readonly { mode: string; name: string }[];
}

const ipvs = behavioursOf('ipvs', KERNEL);
const named = (mode: string, scenarios: readonly { name: string }[]) =>
  scenarios.map(({ name }) => ({ mode, name }));
const isCore = ({ name }: { name: string }) => CORE.some((words) => name.includes(words));

const RUNS: readonly Run[] = [
  { what: 'one proxy', modes: ['ipvs/shared'], wanted: named('ipvs', ipvs.shared) },
  {
    what: 'proxies that start and end',
    modes: [
      'ipvs/own',
      ...OTHERS.map((mode) => `${mode}/shared:${CORE.join('|').replaceAll(' ', '+')}`),
    ],
    wanted: [
      ...named('ipvs', ipvs.own),
      ...OTHERS.flatMap((mode) => named(mode, behavioursOf(mode, KERNEL).shared.filter(isCore))),
    ],
  },
];

describe.each(RUNS)("$what, on Debian's kernel", ({ modes, wanted }) => {
  let output = '';
  beforeAll(async () => {
    output = await runInVirtualMachine({ program: PROGRAM, args: modes, timeoutMs: LIMIT_MS });
  }, LIMIT_MS + 60_000);

  it.each(wanted)('$mode: $name', ({ mode, name }) => {
    const passed = output.split('\n').some((line) => line.includes(`ok ${mode}: ${name} (`));
    expect(passed, output.slice(-12_000)).toBe(true);
  });
});
