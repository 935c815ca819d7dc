import type { IpFamily, ProxyState } from './model.ts';

export type ProxyMode = 'iptables' | 'nftables' | 'ipvs' | 'userspace';

/**
 * Makes the kernel of this node route as one family's ProxyState says. It owns only what bears its names.
 * Calls never overlap.
 */
export interface ProxyBackend {
  readonly mode: ProxyMode;
  readonly family: IpFamily;
  /**
   * Makes the kernel match `state`. `full`: trust nothing that was written before, look and repair.
   * When it rejects, the next call is made with `full`. Answers what the kernel translates to now: `state`,
   * unless this mode puts itself between clients and endpoints.
   */
  sync(state: ProxyState, options: { full: boolean }, signal: AbortSignal): Promise<ProxyState>;
  /** False when somebody removed our rules since the last sync. */
  intact(signal: AbortSignal): Promise<boolean>;
  /** Removes everything that this backend, in this process or an earlier one, put into the kernel. */
  cleanup(signal: AbortSignal): Promise<void>;
  /** Ends what it runs inside this process; what the kernel holds stays. */
  close?(): void;
}
