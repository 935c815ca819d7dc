import { dummyDevice } from '../host/dummy-device.ts';
import { isMissingProgram } from '../host/exec.ts';
import { openIptables } from '../host/iptables.ts';
import { errorMessage } from '../util/errors.ts';
import type { ProxyMode } from './backend.ts';
import { type BackendDeps, IPVS_DEVICE, ModeUnavailableError, openBackend } from './backends.ts';
import type { ProxyConfiguration } from './config.ts';
import type { IpFamily } from './model.ts';

/** Modes that write rules of their own; userspace uses those of iptables. */
const WRITING_MODES: readonly ProxyMode[] = ['iptables', 'ipvs', 'nftables'];

/** Removes what a proxy of any mode has left in the kernel. */
export async function removeEverything(
  configuration: ProxyConfiguration,
  deps: BackendDeps,
  signal: AbortSignal,
): Promise<void> {
  for (const mode of WRITING_MODES) await removeMode({ ...configuration, mode }, deps, signal);
}

/**
 * Removes what a proxy of another mode has left, as it would catch traffic that is ours now. iptables and ipvs share the names
 * of some chains, so each of them goes only where there is more of it than those.
 */
export async function removeLeftovers(
  configuration: ProxyConfiguration,
  deps: BackendDeps,
  signal: AbortSignal,
): Promise<void> {
  const { mode } = configuration;
  const remove = async (other: ProxyMode) =>
    await removeMode({ ...configuration, mode: other }, deps, signal);
  if (mode !== 'ipvs' && (await dummyDevice(IPVS_DEVICE).exists(signal))) await remove('ipvs');
  if (mode === 'nftables' || (mode === 'ipvs' && (await hasIptablesMode(signal)))) {
    await remove('iptables');
  }
  if (mode !== 'nftables') await remove('nftables');
}

/** A chain that only the iptables mode has. */
async function hasIptablesMode(signal: AbortSignal): Promise<boolean> {
  const iptables = await openIptables(4, signal);
  return await iptables.chainExists('filter', 'KUBE-EXTERNAL-SERVICES', signal);
}

async function removeMode(
  configuration: ProxyConfiguration,
  deps: BackendDeps,
  signal: AbortSignal,
): Promise<void> {
  for (const family of [4, 6] satisfies IpFamily[]) {
    try {
      const backend = await openBackend(configuration.mode, family, configuration, deps);
      await backend.cleanup(signal);
    } catch (err) {
      const { mode } = configuration;
      // A mode that this machine cannot do has left nothing; nor has IPv6 where there is none.
      if (!(isMissingProgram(err) || err instanceof ModeUnavailableError || family === 6))
        throw err;
      deps.log.debug({ mode, family, err: errorMessage(err) }, 'Nothing to clean up');
    }
  }
}
