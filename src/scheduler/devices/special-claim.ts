import { randomUUID } from 'node:crypto';
import type { Pod, ResourceClaim } from '../../api/types.ts';
import type { PodInfo } from '../pod-info.ts';
import type { Resources } from '../resources.ts';
import type { DeviceView } from './device-view.ts';
import { type WantedClaim, wantsOf } from './device-wants.ts';
import { extendedRequests, type RequestMapping } from './extended-requests.ts';

const MARK = 'resource.kubernetes.io/extended-resource-claim';
/** No valid name: the claim gets its own when it is made. */
const UNNAMED = '<extended-resources>';

/** The claim as a kind of node needs it. */
export interface SpecialWant {
  readonly wanted: WantedClaim;
  readonly mappings: readonly RequestMapping[];
}

/**
 * The claim that stands for a Pod's requests of extended resources. It is made when the Pod is bound; until then it is
 * known here only. Nodes with device plugins for some of the resources need less of it than others.
 */
export class SpecialClaim {
  /** What is in the API server of an earlier try, or of this one. */
  written: ResourceClaim | undefined;
  readonly #pod: Pod;
  readonly #classes: ReadonlyMap<string, string>;
  readonly #view: DeviceView;
  readonly #uid = randomUUID();
  readonly #wants = new Map<string, SpecialWant>();

  constructor(pod: Pod, classes: ReadonlyMap<string, string>, view: DeviceView) {
    this.#pod = pod;
    this.#classes = classes;
    this.#view = view;
    this.written = view.book.find(pod.metadata.namespace, (claim) => isSpecial(claim, pod));
  }

  /** Undefined: the node needs none. Throws DeviceError for a class that is gone. */
  wantOn(allocatable: Resources): SpecialWant | undefined {
    const missing = [...this.#classes].filter(([name]) => !allocatable.scalar.get(name));
    if (missing.length === 0) return undefined;
    const key = missing.map(([name]) => name).join();
    const known = this.#wants.get(key);
    if (known) return known;
    const { requests, mappings } = extendedRequests(this.#pod, new Map(missing));
    const wanted = wantsOf(this.#draft(requests), this.#view.classes);
    const made = { wanted, mappings };
    this.#wants.set(key, made);
    return made;
  }

  /** All variants are one claim. */
  #draft(requests: ReturnType<typeof extendedRequests>['requests']): ResourceClaim {
    const { namespace, name, uid } = this.#pod.metadata;
    return {
      apiVersion: 'resource.k8s.io/v1',
      kind: 'ResourceClaim',
      metadata: {
        ...{ namespace, name: UNNAMED, uid: this.#uid, resourceVersion: '', creationTimestamp: '' },
        generateName: `${name}-extended-resources-`,
        annotations: { [MARK]: 'true' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid, controller: true }],
      },
      spec: { devices: { requests } },
    };
  }
}

/** Undefined: no device class stands for anything that the Pod asks for. */
export function specialClaimOf(
  { pod, requests }: PodInfo,
  view: DeviceView,
): SpecialClaim | undefined {
  if (requests.scalar.size === 0) return undefined;
  const classes = new Map<string, string>();
  for (const [resource, amount] of requests.scalar) {
    const name = amount > 0 ? view.names.classOf(resource) : undefined;
    if (name !== undefined) classes.set(resource, name);
  }
  return classes.size > 0 ? new SpecialClaim(pod, classes, view) : undefined;
}

export function isSpecial({ metadata }: ResourceClaim, pod: Pod): boolean {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  return metadata.annotations?.[MARK] === 'true' && owner?.uid === pod.metadata.uid;
}
