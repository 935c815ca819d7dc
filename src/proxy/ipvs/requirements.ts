import type { DummyDevice } from '../../host/dummy-device.ts';
import { CommandError, isMissingProgram, run } from '../../host/exec.ts';
import type { Ipset } from '../../host/ipset.ts';
import type { Ipvs } from '../../host/ipvs.ts';
import { SET_TYPES } from './sets.ts';

const TYPES = [...new Set(Object.values(SET_TYPES))];
// An address for documentation (RFC 5737), as upstream takes for the same question.
const TRIAL = '-t 198.51.100.0:20000';

/** What this machine lacks for IPVS, in words; undefined when it lacks nothing. */
export async function missingForIpvs(
  { ipvs, ipset, device }: { ipvs: Ipvs; ipset: Ipset; device: DummyDevice },
  scheduler: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  await loadModules(['ip_vs', `ip_vs_${scheduler}`, 'ip_set', 'dummy'], signal);
  const trials: [string, () => Promise<unknown>][] = [
    ['ip_vs', () => ipvs.list(signal)],
    [
      `ip_vs_${scheduler}`,
      () => ipvs.restore([`-A ${TRIAL} -s ${scheduler}`, `-D ${TRIAL}`], signal),
    ],
    [
      `ip_set, or one of ${TYPES.map(moduleOf).join(', ')},`,
      () => ipset.restore(TYPES.flatMap(trialOf), signal),
    ],
    ['dummy', () => device.ensure(signal)],
  ];
  for (const [module, attempt] of trials) {
    try {
      await attempt();
    } catch (err) {
      if (!(err instanceof CommandError)) throw err;
      return isMissingProgram(err)
        ? `the program ${err.program} is not installed`
        : `the kernel module ${module} is missing (${err.message})`;
    }
  }
  return undefined;
}

function moduleOf(type: string): string {
  return `ip_set_${type.replace(':', '_').replaceAll(',', '')}`;
}

function trialOf(type: string): string[] {
  const range = type === 'bitmap:port' ? ' range 0-65535' : '';
  return [`create KUBE-TRIAL ${type}${range}`, 'destroy KUBE-TRIAL'];
}

/** A module that is built in, or a machine without modprobe: the trials tell. */
async function loadModules(names: readonly string[], signal?: AbortSignal): Promise<void> {
  const options = { acceptExitCodes: [0, 1] };
  await run('modprobe', ['-a', ...names], options, signal).catch((err: unknown) => {
    if (!isMissingProgram(err)) throw err;
  });
}
