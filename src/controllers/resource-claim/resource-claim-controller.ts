import { type ObjectKey, PODS } from '../../api/resource-types.ts';
import { RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS } from '../../api/system-resource-types.ts';
import type { Pod, ResourceClaim, ResourceClaimTemplate } from '../../api/types.ts';
import type { EventRecorder, Informer, Lister } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { controllerReference } from '../controller-reference.ts';
import { Overlay } from '../overlay.ts';
import { claimNames } from '../pod-claims.ts';
import { unlessGone } from '../unless-gone.ts';
import {
  isDone,
  isMadeFor,
  POD_CLAIM,
  type PodClaim,
  PROTECTION,
  stillReserved,
} from './claims.ts';

const NAME = 'resource_claim';

interface Deps extends Pick<ControllerContext, 'client'> {
  readonly pods: Informer<Pod>;
  readonly claims: Informer<ResourceClaim>;
  readonly made: Overlay<ResourceClaim>;
  readonly templates: Lister<ResourceClaimTemplate>;
  readonly events: EventRecorder;
}

/** Makes the claims of Pods from templates, and frees claims that are used no more (KEP-4381). */
export function resourceClaimController(context: ControllerContext): readonly Runnable[] {
  const { client, informers } = context;
  const pods = informers.get(PODS);
  const claims = informers.get(RESOURCE_CLAIMS);
  const templates = informers.get(RESOURCE_CLAIM_TEMPLATES);
  const events = context.events(NAME);
  const deps = { client, pods, claims, made: new Overlay(claims), templates, events };
  const podLoop = newController(context, new PodClaims(deps));
  const claimLoop = newController(context, new ClaimUse(deps));
  const claiming = (pod: Pod) => ((pod.spec?.resourceClaims ?? []).length > 0 ? [keyOf(pod)] : []);
  podLoop.watch(pods, claiming);
  podLoop.watch(templates, ({ metadata }) =>
    pods.list(metadata.namespace).flatMap((pod) => (uses(pod, metadata.name) ? [keyOf(pod)] : [])),
  );
  podLoop.needs(claims);
  claimLoop.watch(claims);
  claimLoop.watch(pods, (pod) =>
    claimNames(pod).flatMap((name) => (name ? [`${pod.metadata.namespace}/${name}`] : [])),
  );
  return [podLoop, claimLoop];
}

function uses(pod: Pod, template: string): boolean {
  return (pod.spec?.resourceClaims ?? []).some(
    ({ resourceClaimTemplateName }) => resourceClaimTemplateName === template,
  );
}

/** Keys are Pods. */
class PodClaims implements Reconciler {
  readonly name = 'resourceclaim-controller';
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { pods, events } = this.#deps;
    const pod = pods.get(key);
    if (!pod || isDone(pod) || pod.metadata.deletionTimestamp) return DONE;
    const statuses: { name: string; resourceClaimName: string }[] = [];
    for (const entry of pod.spec?.resourceClaims ?? []) {
      if (!entry.resourceClaimTemplateName) continue;
      try {
        const claim = await this.#ensure(pod, entry);
        statuses.push({ name: entry.name, resourceClaimName: claim.metadata.name });
      } catch (err) {
        const text = `PodResourceClaim ${entry.name}: ${errorMessage(err)}`;
        events.event(pod, 'Warning', 'FailedResourceClaimCreation', text);
        throw err;
      }
    }
    const told = await this.#tell(pod, statuses);
    if (told.spec?.nodeName) await this.#reserve(told);
    return DONE;
  }

  async #ensure(pod: Pod, entry: PodClaim): Promise<ResourceClaim> {
    const { client, claims, made, templates } = this.#deps;
    const { namespace, name } = pod.metadata;
    const isIt = (claim: ResourceClaim) => isMadeFor(claim, pod, entry.name);
    const [known] = made.over(claims.list(namespace).filter(isIt), isIt);
    if (known) return known;
    const templateName = entry.resourceClaimTemplateName ?? '';
    const template = templates.get({ namespace, name: templateName });
    if (!template) throw new Error(`resource claim template "${templateName}": not found`);
    const { metadata = {}, spec } = structuredClone(template.spec);
    const claim = await client.create(RESOURCE_CLAIMS, {
      apiVersion: 'resource.k8s.io/v1',
      kind: 'ResourceClaim',
      metadata: {
        ...(metadata.labels ? { labels: metadata.labels } : {}),
        annotations: { ...metadata.annotations, [POD_CLAIM]: entry.name },
        namespace,
        generateName: `${name}-${entry.name}-`,
        ownerReferences: [controllerReference({ ...pod, apiVersion: 'v1', kind: 'Pod' })],
      },
      spec,
    });
    made.wrote(claim);
    return claim;
  }

  async #tell(pod: Pod, statuses: { name: string; resourceClaimName: string }[]): Promise<Pod> {
    const known = pod.status?.resourceClaimStatuses ?? [];
    if (statuses.length === 0 || jsonEqual(known, statuses)) return pod;
    const body = {
      metadata: { uid: pod.metadata.uid },
      status: { resourceClaimStatuses: statuses },
    };
    const how = { subresource: 'status' };
    const { client } = this.#deps;
    const written = await unlessGone(
      client.patch(PODS, pod.metadata, { type: 'strategic', body }, how),
    );
    return written ?? pod;
  }

  /** A Pod that got its node without the scheduler has nobody else to reserve what is allocated. */
  async #reserve(pod: Pod): Promise<void> {
    const { claims, client } = this.#deps;
    const { namespace, name, uid } = pod.metadata;
    for (const claimName of claimNames(pod)) {
      const claim = claims.get({ namespace, name: claimName ?? '' });
      const reservedFor = claim?.status?.reservedFor ?? [];
      if (!claim?.status?.allocation || reservedFor.some((one) => one.uid === uid)) continue;
      const status = {
        ...claim.status,
        reservedFor: [...reservedFor, { resource: 'pods', name, uid }],
      };
      await client.update(RESOURCE_CLAIMS, { ...claim, status }, { subresource: 'status' });
    }
  }
}

/** Keys are claims. */
class ClaimUse implements Reconciler {
  readonly name = 'resourceclaim-controller-claims';
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const claim = this.#deps.claims.get(key);
    if (!claim) return DONE;
    const { namespace } = key;
    const { reservedFor = [] } = claim.status ?? {};
    // The cache of Pods may be behind the claim's: who is not there is asked for.
    const missing = new Map<string, Pod | undefined>();
    for (const { name } of reservedFor) {
      const { pods, client } = this.#deps;
      const podKey = { namespace, name };
      missing.set(name, pods.get(podKey) ?? (await unlessGone(client.get(PODS, podKey))));
    }
    const valid = stillReserved(reservedFor, ({ name }) => missing.get(name));
    const freed = await this.#free(claim, valid);
    if (freed) await this.#letGo(freed);
    return DONE;
  }

  /** Nobody left: what was allocated is free for others. */
  async #free(
    claim: ResourceClaim,
    reservedFor: NonNullable<NonNullable<ResourceClaim['status']>['reservedFor']>,
  ): Promise<ResourceClaim | undefined> {
    const { allocation, reservedFor: before = [], ...rest } = claim.status ?? {};
    const unused = reservedFor.length === 0;
    const freeing = allocation !== undefined && unused && (before.length > 0 || isGoing(claim));
    if (reservedFor.length === before.length && !freeing) return claim;
    const status = {
      ...(freeing ? {} : rest),
      ...(allocation && !freeing ? { allocation } : {}),
      ...(unused ? {} : { reservedFor }),
    };
    const how = { subresource: 'status' };
    return unlessGone(this.#deps.client.update(RESOURCE_CLAIMS, { ...claim, status }, how));
  }

  async #letGo(claim: ResourceClaim): Promise<void> {
    const { client, pods } = this.#deps;
    const { namespace, name, uid, finalizers = [] } = claim.metadata;
    if (!claim.status?.allocation && finalizers.includes(PROTECTION)) {
      const left = finalizers.filter((one) => one !== PROTECTION);
      const changed = { ...claim, metadata: { ...claim.metadata, finalizers: left } };
      await unlessGone(client.update(RESOURCE_CLAIMS, changed));
    }
    const owner = claim.metadata.ownerReferences?.find(
      ({ kind, controller }) => controller && kind === 'Pod',
    );
    const pod = owner && pods.get({ namespace, name: owner.name });
    const over = pod && pod.metadata.uid === owner.uid && isDone(pod);
    if (!over || isGoing(claim)) return;
    const how = { preconditions: { uid } };
    await unlessGone(client.delete(RESOURCE_CLAIMS, { namespace, name }, how));
  }
}

function isGoing({ metadata }: ResourceClaim): boolean {
  return metadata.deletionTimestamp !== undefined;
}
