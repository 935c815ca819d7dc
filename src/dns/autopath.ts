import type { Pod } from '../api/types.ts';
import type { Informer, Lister } from '../client/client.ts';
import { expandIp } from './reverse.ts';

const BY_IP = 'ip';

/** The index that tells whose address an asker has; to be called before the informer runs. */
export function addAutopathIndex(pods: Informer<Pod>): void {
  pods.addIndex(BY_IP, ({ spec, status }) =>
    spec?.hostNetwork ? [] : (status?.podIPs ?? []).map(({ ip }) => expandIp(ip)),
  );
}

/**
 * Walks the search path in place of the asker. A Pod that looks for `www.example.com` asks for four names that do not
 * exist first (ndots:5); here the first question already leads to the answer. CoreDNS has a plugin of this name.
 */
export class Autopath {
  readonly #pods: Lister<Pod>;
  readonly #zone: string;
  readonly #searches: readonly string[];

  /** `searches`: what follows the cluster's own suffixes in the search path of Pods: the nodes' own. */
  constructor(pods: Lister<Pod>, zone: string, searches: readonly string[]) {
    this.#pods = pods;
    this.#zone = zone;
    this.#searches = searches;
  }

  /** The names that the asker would try after this one; none unless the name ends in the asker's own namespace. */
  namesAfter(name: string, client: string): string[] {
    const [pod] = this.#pods.byIndex(BY_IP, expandIp(client));
    if (!pod) return [];
    const first = `.${pod.metadata.namespace}.svc.${this.#zone}`;
    if (!name.endsWith(first)) return [];
    const base = name.slice(0, -first.length);
    return [`svc.${this.#zone}`, this.#zone, ...this.#searches, '']
      .map((suffix) => (suffix === '' ? base : `${base}.${suffix}`))
      .filter((next) => next !== '');
  }
}
