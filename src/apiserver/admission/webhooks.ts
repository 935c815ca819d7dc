import { ApiError } from '../../api/errors.ts';
import type { Schema } from '../../api/schema.ts';
import {
  MUTATING_WEBHOOK_CONFIGURATIONS,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
} from '../../api/system-resource-types.ts';
import type { KubeObject } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import type { AdmissionPlugin, AdmissionRequest, MutationRound } from '../admission.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import type { ResourceKind } from '../resource-kind.ts';
import type { WebhookClient } from '../webhook-client.ts';
import {
  callWebhook,
  type Webhook,
  type WebhookAnswer,
  WebhookFailure,
} from './dynamic/call-webhook.ts';
import { judgeConditions } from './dynamic/conditions.ts';
import { isExempt, matchedKind, namespaceOf } from './dynamic/match.ts';
import { scopeValues } from './dynamic/scope.ts';
import { takeBack, viewAs } from './dynamic/view.ts';
import { allOf, forbiddenByAdmission, type PluginDeps } from './plugin.ts';

export interface WebhookDeps extends PluginDeps {
  readonly webhooks: () => WebhookClient;
  readonly authorizer: () => Authorizer;
  readonly schema: Schema;
}

interface Configured {
  /** Unique among all webhooks. */
  readonly id: string;
  readonly webhook: Webhook;
}

/** Webhooks that may change what is written: one after the other, by the names of their configurations. */
export function mutatingWebhooks(deps: WebhookDeps): AdmissionPlugin {
  return {
    name: 'MutatingAdmissionWebhook',
    async mutate(request, round) {
      if (isExempt(request)) return;
      for (const configured of await configuredOf(deps, MUTATING_WEBHOOK_CONFIGURATIONS)) {
        if (!isDue(configured, request, round)) continue;
        const kind = await concerned(deps, configured.webhook, request);
        if (!kind) continue;
        const answer = await ask(deps, configured.webhook, { request, kind, type: 'mutating' });
        if (answer && change(deps, { request, kind }, answer)) round.again = true;
        round.outcomes.set(configured.id, JSON.stringify(request.object ?? null));
      }
    },
  };
}

/** Webhooks that judge what is to be stored: all at once; the first refusal counts. */
export function validatingWebhooks(deps: WebhookDeps): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionWebhook',
    async validate(request) {
      if (isExempt(request)) return;
      const all = await configuredOf(deps, VALIDATING_WEBHOOK_CONFIGURATIONS);
      const settled = await Promise.allSettled(
        all.map(async ({ webhook }) => {
          const kind = await concerned(deps, webhook, request);
          if (kind) await ask(deps, webhook, { request, kind, type: 'validating' });
        }),
      );
      const failed = settled.find((one) => one.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}

async function configuredOf(
  deps: WebhookDeps,
  type: typeof MUTATING_WEBHOOK_CONFIGURATIONS | typeof VALIDATING_WEBHOOK_CONFIGURATIONS,
): Promise<Configured[]> {
  const configurations = await allOf(deps, type as typeof VALIDATING_WEBHOOK_CONFIGURATIONS);
  return configurations.flatMap(({ metadata, webhooks = [] }) =>
    webhooks.map((webhook, i) => ({
      id: `${metadata.uid}/${i}`,
      webhook: webhook as unknown as Webhook,
    })),
  );
}

/** In the second round only those are asked again that want it and have not seen the object as it is now. */
function isDue(
  { id, webhook }: Configured,
  request: AdmissionRequest,
  round: MutationRound,
): boolean {
  if (!round.isSecond) return true;
  const before = round.outcomes.get(id);
  if (before === undefined || webhook.reinvocationPolicy !== 'IfNeeded') return false;
  return before !== JSON.stringify(request.object ?? null);
}

/** The kind as which a request concerns a webhook, by its rules, selectors and conditions. */
async function concerned(
  deps: WebhookDeps,
  webhook: Webhook,
  request: AdmissionRequest,
): Promise<ResourceKind | undefined> {
  const { rules = [], matchPolicy, namespaceSelector, objectSelector } = webhook;
  const match = { rules, matchPolicy, namespaceSelector, objectSelector };
  const kind = await matchedKind(deps, match, request);
  if (!kind || !webhook.matchConditions?.length) return kind;
  const view = viewAs(request, kind);
  const within = await namespaceOf(deps, request);
  const values = () => scopeValues({ request, kind, view, within }, deps.authorizer());
  const result = await judgeConditions(webhook.matchConditions, values);
  if (result.matches !== undefined) return result.matches ? kind : undefined;
  if (webhook.failurePolicy === 'Ignore') return undefined;
  throw forbiddenByAdmission(request, result.error);
}

/** Undefined: there was no answer, and the webhook's failure policy lets that pass. */
async function ask(
  deps: WebhookDeps,
  webhook: Webhook,
  asked: { request: AdmissionRequest; kind: ResourceKind; type: 'mutating' | 'validating' },
): Promise<WebhookAnswer | undefined> {
  try {
    return await callWebhook(deps.webhooks(), webhook, asked);
  } catch (err) {
    if (!(err instanceof WebhookFailure)) throw err;
    if (webhook.failurePolicy === 'Ignore') {
      asked.request.annotate(
        `failed-open.${asked.type}.webhook.admission.k8s.io/${webhook.name}`,
        webhook.name,
      );
      return undefined;
    }
    throw new ApiError('InternalError', `Internal error occurred: ${err.message}`, { cause: err });
  }
}

/** True when the answer changed the object. */
function change(
  { schema }: WebhookDeps,
  { request, kind }: { request: AdmissionRequest; kind: ResourceKind },
  { patch }: WebhookAnswer,
): boolean {
  const { object } = viewAs(request, kind);
  if (!patch || !object || patch.length === 0) return false;
  const changed = applyJsonPatch(object, patch) as KubeObject;
  if (jsonEqual(changed, object)) return false;
  takeBack(request, changed, { kind, schema });
  return true;
}
