import { readFileSync } from 'node:fs';
import { POLICY_SCENARIOS } from './policy-scenarios.ts';
import { CARE } from './proxy-care.ts';
import { SCENARIOS, type Scenario } from './proxy-scenarios.ts';
import { IPVS_SCENARIOS, SERVICE_SCENARIOS } from './service-scenarios.ts';

export interface Behaviours {
  /** Of one proxy, one after the other. */
  readonly shared: readonly Scenario[];
  /** Each starts proxies of its own. */
  readonly own: readonly Scenario[];
}

export interface Kernel {
  readonly sctp: boolean;
  /** Every instruction takes ten times as long. */
  readonly emulated: boolean;
}

/** Everything that a mode promises on such a kernel. */
export function behavioursOf(mode: string, kernel: Kernel): Behaviours {
  const promised = ({ except, only, needs, slow }: Scenario) =>
    except?.[mode] === undefined &&
    (only ?? mode) === mode &&
    !(needs === 'sctp' && !kernel.sctp) &&
    !(slow && kernel.emulated);
  return {
    shared: [...SERVICE_SCENARIOS, ...SCENARIOS, ...POLICY_SCENARIOS].filter(promised),
    own: [...CARE, ...IPVS_SCENARIOS].filter(promised),
  };
}

/** Of the machine that this runs on. */
export function presentKernel(): Kernel {
  return {
    sctp: /^SCTP /m.test(readFileSync('/proc/net/protocols', 'utf8')),
    emulated: process.env.PROBE_TIMEOUT_MS !== undefined,
  };
}
