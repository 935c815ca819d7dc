import { randomUUID } from 'node:crypto';
import { ApiError, badRequest, type Status } from '../../../api/errors.ts';
import type { LabelSelector } from '../../../api/types.ts';
import { errorMessage } from '../../../util/errors.ts';
import { parseJson } from '../../../util/exact-json.ts';
import { isObject } from '../../../util/json.ts';
import type { AdmissionRequest } from '../../admission.ts';
import type { ResourceKind } from '../../resource-kind.ts';
import type { WebhookClient, WebhookClientConfig } from '../../webhook-client.ts';
import type { MatchCondition } from './conditions.ts';
import type { Rule } from './match.ts';
import { requestBody, viewAs } from './view.ts';

/** Of both kinds of webhook configurations. */
export interface Webhook {
  readonly name: string;
  readonly clientConfig: WebhookClientConfig;
  readonly rules?: readonly Rule[];
  readonly failurePolicy?: string;
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly sideEffects: string;
  readonly timeoutSeconds?: number;
  readonly admissionReviewVersions: readonly string[];
  readonly matchConditions?: readonly MatchCondition[];
  readonly reinvocationPolicy?: string;
}

/** What a webhook that let the request pass wants to be changed: a JSON patch. */
export interface WebhookAnswer {
  readonly patch: unknown[] | undefined;
}

/** The webhook could not be asked, or answered nonsense: its failure policy decides. */
export class WebhookFailure extends Error {
  override readonly name = 'WebhookFailure';
}

const DEFAULT_SECONDS = 10;

/** Asks one webhook. Throws its refusal as ApiError, WebhookFailure when there is no answer. */
export async function callWebhook(
  client: WebhookClient,
  webhook: Webhook,
  { request, kind }: { request: AdmissionRequest; kind: ResourceKind },
): Promise<WebhookAnswer> {
  const { name, sideEffects, timeoutSeconds = DEFAULT_SECONDS } = webhook;
  if (request.dryRun && sideEffects !== 'None' && sideEffects !== 'NoneOnDryRun') {
    throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
  }
  const version = webhook.admissionReviewVersions.find((v) => v === 'v1' || v === 'v1beta1');
  const uid = randomUUID();
  const { object, old } = viewAs(request, kind);
  const apiVersion = `admission.k8s.io/${version ?? 'v1'}`;
  const review = {
    kind: 'AdmissionReview',
    apiVersion,
    request: {
      uid,
      ...requestBody(request, kind),
      object: object ?? null,
      oldObject: old ?? null,
    },
  };
  let answer: unknown;
  try {
    answer = await client.ask(webhook.clientConfig, review, timeoutSeconds * 1000);
  } catch (err) {
    throw new WebhookFailure(
      `failed calling webhook ${JSON.stringify(name)}: failed to call webhook: ${errorMessage(err)}`,
      { cause: err },
    );
  }
  const response = checkedResponse(answer, { uid, apiVersion, name });
  for (const warning of response.warnings ?? []) request.warn(String(warning));
  for (const [key, value] of Object.entries(response.auditAnnotations ?? {})) {
    request.annotate(`${name}/${key}`, String(value));
  }
  if (!response.allowed) throw refusal(name, response.status);
  return { patch: patchOf(response, name) };
}

interface Response {
  readonly uid?: unknown;
  readonly allowed?: unknown;
  readonly status?: Partial<Status>;
  readonly patch?: unknown;
  readonly patchType?: unknown;
  readonly warnings?: unknown[];
  readonly auditAnnotations?: Record<string, unknown>;
}

function checkedResponse(
  answer: unknown,
  { uid, apiVersion, name }: { uid: string; apiVersion: string; name: string },
): Response {
  const fail = (why: string): never => {
    throw new WebhookFailure(
      `failed calling webhook ${JSON.stringify(name)}: received invalid webhook response: ${why}`,
    );
  };
  if (!isObject(answer) || !isObject(answer.response)) {
    return fail('webhook response was absent');
  }
  const response = answer.response as Response;
  // The old version asked for less.
  if (apiVersion.endsWith('/v1')) {
    if (answer.kind !== 'AdmissionReview' || answer.apiVersion !== apiVersion) {
      fail(
        `expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${answer.apiVersion}, Kind=${answer.kind}`,
      );
    }
    if (response.uid !== uid) {
      fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid)}`);
    }
  }
  return response;
}

function patchOf({ patch, patchType }: Response, name: string): unknown[] | undefined {
  if (patch === undefined || patch === null || patch === '') return undefined;
  const fail = (why: string, cause?: unknown): never => {
    throw new WebhookFailure(`failed calling webhook ${JSON.stringify(name)}: ${why}`, { cause });
  };
  if (patchType !== undefined && patchType !== 'JSONPatch') {
    fail(`unsupported patch type ${JSON.stringify(patchType)}`);
  }
  try {
    const decoded = parseJson(Buffer.from(String(patch), 'base64').toString());
    if (Array.isArray(decoded)) return decoded;
  } catch (err) {
    return fail('the patch is not JSON', err);
  }
  return fail('the patch is not a list of operations');
}

/** A refusal never looks like a success. */
function refusal(name: string, status: Partial<Status> | undefined): ApiError {
  const denied = `admission webhook ${JSON.stringify(name)} denied the request`;
  const { message, reason = '', code = 0, details } = status ?? {};
  const text = message
    ? `${denied}: ${message}`
    : reason
      ? `${denied}: ${reason}`
      : `${denied} without explanation`;
  return new ApiError(reason, text, { code: Math.max(code, 400), details });
}
