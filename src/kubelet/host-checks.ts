import type { KubeletConfiguration } from './config.ts';

/** What the configuration can only be true to on some machines. */
export interface HostFacts {
  /** Bytes of swap that are switched on. */
  readonly swap: number;
  readonly cgroupVersion: 1 | 2;
}

/** Throws when the machine is not what the configuration asks for. Pure. */
export function checkHost(config: KubeletConfiguration, { swap, cgroupVersion }: HostFacts): void {
  if (config.failSwapOn && swap > 0) {
    throw new Error(
      'running with swap on is not supported, please disable swap or set --fail-swap-on flag to false',
    );
  }
  if (config.failCgroupV1 && cgroupVersion === 1) {
    throw new Error(
      'kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release',
    );
  }
  if (!['cgroupfs', 'systemd'].includes(config.cgroupDriver)) {
    throw new Error(`cgroupDriver: ${JSON.stringify(config.cgroupDriver)} is not supported`);
  }
  const { swapBehavior = '' } = config.memorySwap;
  if (!['', 'NoSwap', 'LimitedSwap'].includes(swapBehavior)) {
    throw new Error(`memorySwap.swapBehavior: ${JSON.stringify(swapBehavior)} is not supported`);
  }
  if (swapBehavior === 'LimitedSwap' && cgroupVersion === 1) {
    throw new Error('memorySwap.swapBehavior: LimitedSwap needs cgroup v2');
  }
}
