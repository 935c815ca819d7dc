import type { Namespace, NetworkPolicy, Pod } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import { openIptables } from '../host/iptables.ts';
import { nft } from '../host/nft.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage, isAbort } from '../util/errors.ts';
import { aborted, runAll } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';
import type { ProxyMode } from './backend.ts';
import { IptablesPolicies } from './network-policy/iptables-policies.ts';
import { ipsOf, isolations } from './network-policy/isolation.ts';
import { NftablesPolicies } from './network-policy/nftables-policies.ts';
import type { PolicyBackend } from './network-policy/policy-backend.ts';
import { SyncRunner } from './sync-runner.ts';

export interface NetworkPoliciesDeps {
  readonly policies: Informer<NetworkPolicy>;
  /** Of the whole cluster: anyone may be a peer. Run only while there are policies to follow. */
  readonly pods: Informer<Pod>;
  readonly namespaces: Informer<Namespace>;
  readonly backends: readonly PolicyBackend[];
  /** Told after every change that the kernel holds. */
  readonly onSynced?: (() => void) | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NetworkPoliciesOptions {
  readonly nodeName: string;
  /** How often the kernel is asked whether our rules are still there. */
  readonly syncPeriodMs: number;
}

// A burst of changes becomes one run, and one change is there long before a second has gone.
const MIN_INTERVAL_MS = 50;
const RETRY_MS = 1_000;

/** What enforces policies beside a proxy of this mode: nftables for nftables, iptables of both families for the others. */
export async function openPolicyBackends(mode: ProxyMode, log: Logger): Promise<PolicyBackend[]> {
  if (mode === 'nftables') return [new NftablesPolicies(nft)];
  const backends = [new IptablesPolicies(await openIptables(4), 4)];
  try {
    const six = await openIptables(6);
    await six.save('mangle');
    backends.push(new IptablesPolicies(six, 6));
  } catch (err) {
    log.info({ err: errorMessage(err) }, 'No IPv6 rules on this machine: policies for IPv4 only');
  }
  return backends;
}

/**
 * Holds back the traffic of this node's Pods that NetworkPolicies do not allow. Pods and namespaces are watched from the
 * first policy on; without policies there is no rule.
 */
export class NetworkPolicies {
  readonly #deps: NetworkPoliciesDeps;
  readonly #options: NetworkPoliciesOptions;
  readonly #runner: SyncRunner;
  readonly #wanted = Promise.withResolvers<void>();
  #watching = false;
  #full = true;
  /** There is no policy, and the kernel holds no rule of ours. */
  #clean = false;
  #signal: AbortSignal = AbortSignal.abort();

  constructor(deps: NetworkPoliciesDeps, options: NetworkPoliciesOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#runner = new SyncRunner(() => this.#sync(), deps.clock, {
      minIntervalMs: MIN_INTERVAL_MS,
      maxIntervalMs: options.syncPeriodMs,
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    const { policies } = this.#deps;
    this.#subscribe();
    const work = async () => {
      await policies.whenSynced(signal);
      this.#runner.request(); // Also without a policy: an earlier process may have left rules behind.
      await this.#runner.run(signal);
    };
    await runAll(signal, [policies.run(signal), this.#watchPeers(signal), work()]);
  }

  #subscribe(): void {
    const { policies, pods, namespaces } = this.#deps;
    const request = () => this.#runner.request();
    policies.addHandler({
      onAdd: () => {
        this.#wanted.resolve();
        request();
      },
      onUpdate: (before, after) => {
        if (before.metadata.generation !== after.metadata.generation) request();
      },
      onDelete: request,
    });
    pods.addHandler({
      onAdd: request,
      onUpdate: (before, after) => {
        if (factsOf(before) !== factsOf(after)) request();
      },
      onDelete: request,
    });
    namespaces.addHandler({
      onAdd: request,
      onUpdate: (before, after) => {
        if (JSON.stringify(before.metadata.labels) !== JSON.stringify(after.metadata.labels))
          request();
      },
      onDelete: request,
    });
  }

  async #watchPeers(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#wanted.promise, aborted(signal)]);
    if (signal.aborted) return;
    const { pods, namespaces } = this.#deps;
    const synced = async () => {
      await Promise.all([pods.whenSynced(signal), namespaces.whenSynced(signal)]);
      this.#watching = true;
      this.#runner.request();
    };
    await Promise.all([pods.run(signal), namespaces.run(signal), synced()]);
  }

  async #sync(): Promise<void> {
    const { policies, backends, log } = this.#deps;
    const any = policies.list().length > 0;
    // Rules made from half a world would hold back what is allowed.
    if (any && !this.#watching) return;
    try {
      if (any) await this.#write();
      else if (!this.#clean) {
        for (const backend of backends) await backend.cleanup(this.#signal);
      }
      this.#clean = !any;
      this.#full = !any; // The first policy after none finds the kernel as others may have left it.
      this.#deps.onSynced?.();
    } catch (err) {
      if (this.#signal.aborted && isAbort(err)) return;
      this.#full = true;
      log.error({ err: errorMessage(err) }, 'Failed to sync network policies');
      this.#deps.clock.after(RETRY_MS, () => this.#runner.request());
    }
  }

  async #write(): Promise<void> {
    const { policies, pods, namespaces, backends, log } = this.#deps;
    const started = performance.now();
    const wanted = isolations({
      policies: policies.list(),
      pods: pods.list(),
      namespaces: namespaces.list(),
      nodeName: this.#options.nodeName,
    });
    for (const backend of backends) {
      const full = this.#full || !(await backend.intact(this.#signal));
      await backend.sync(wanted, { full }, this.#signal);
    }
    const seconds = (performance.now() - started) / 1000;
    log.debug({ isolations: wanted.length, seconds }, 'Synced network policies');
  }
}

/** What policies go by, of all that a Pod is. */
function factsOf(pod: Pod): string {
  return JSON.stringify([pod.metadata.labels, ipsOf(pod), pod.spec?.nodeName]);
}
