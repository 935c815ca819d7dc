import { randomUUID } from 'node:crypto';
import { ApiError } from '../../api/errors.ts';
import type { CustomResourceDefinition as Crd, KubeObject } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import { isObject, type JsonObject, jsonEqual } from '../../util/json.ts';
import { ConversionRefused } from '../conversion-refused.ts';
import type { Conversion } from '../resource-kind.ts';
import type { WebhookClient } from '../webhook-client.ts';
import { applyDefaults } from './defaults.ts';
import type { JsonSchema } from './json-schema.ts';
import { prune } from './prune.ts';

type CrdVersion = Crd['spec']['versions'][number];

const TIMEOUT_MS = 30_000;
const REVIEW_GROUP = 'apiextensions.k8s.io';

/** How objects get from the version that is stored into a served one and back: by a webhook of the definition's author. */
export function webhookConversion(
  crd: Crd,
  version: CrdVersion,
  { schema, webhooks }: { schema: JsonSchema; webhooks: WebhookClient },
): Conversion {
  const { group, versions } = crd.spec;
  const stored = versions.find(({ storage }) => storage)?.name ?? version.name;
  const converter = new WebhookConverter(crd, webhooks);
  const storedVersion = `${group}/${stored}`;
  return {
    storedVersion,
    async toServed(objects) {
      const made = await converter.convert(objects, `${group}/${version.name}`);
      return made.map((object) => {
        const kept = prune(object, schema, []) as KubeObject;
        applyDefaults(kept, schema);
        return kept;
      });
    },
    async toStored(object) {
      const [made = object] = await converter.convert([object], storedVersion);
      return made;
    },
  };
}

class WebhookConverter {
  readonly #crd: Crd;
  readonly #webhooks: WebhookClient;

  constructor(crd: Crd, webhooks: WebhookClient) {
    this.#crd = crd;
    this.#webhooks = webhooks;
  }

  /** The objects in `apiVersion`; those that are in it already are not asked about. */
  async convert(objects: KubeObject[], apiVersion: string): Promise<KubeObject[]> {
    const foreign = objects.filter((object) => object.apiVersion !== apiVersion);
    if (foreign.length === 0) return objects;
    const converted = await this.#ask(foreign, apiVersion);
    let next = 0;
    return objects.map((object) => {
      if (object.apiVersion === apiVersion) return object;
      const made = converted[next++];
      return checked(object, made, apiVersion, (why) => this.#refusal(object, why));
    });
  }

  async #ask(objects: KubeObject[], desiredAPIVersion: string): Promise<unknown[]> {
    const { webhook } = this.#crd.spec.conversion ?? {};
    const version = webhook?.conversionReviewVersions.find((one) => KNOWN_REVIEWS.has(one)) ?? 'v1';
    const uid = randomUUID();
    const review = {
      kind: 'ConversionReview',
      apiVersion: `${REVIEW_GROUP}/${version}`,
      request: { uid, desiredAPIVersion, objects },
    };
    const [first] = objects;
    let answer: unknown;
    try {
      answer = await this.#webhooks.ask(webhook?.clientConfig ?? {}, review, TIMEOUT_MS);
    } catch (err) {
      throw new ApiError('InternalError', this.#failure(first, errorMessage(err)));
    }
    const fail = (why: string) => this.#refusal(first, why);
    return readReview(answer, { uid, count: objects.length }, fail);
  }

  #refusal(object: KubeObject | undefined, why: string): ConversionRefused {
    return new ConversionRefused('InternalError', this.#failure(object, why));
  }

  #failure(object: KubeObject | undefined, why: string): string {
    const { group, names } = this.#crd.spec;
    const from = object?.apiVersion ?? group;
    return `conversion webhook for ${from}, Kind=${names.kind} failed: ${why}`;
  }
}

const KNOWN_REVIEWS = new Set(['v1', 'v1beta1']);

function readReview(
  answer: unknown,
  { uid, count }: { uid: string; count: number },
  fail: (why: string) => ApiError,
): unknown[] {
  const response = isObject(answer) ? answer.response : undefined;
  if (!isObject(response)) throw fail('no response provided');
  if (response.uid !== uid) {
    throw fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid)}`);
  }
  const result = isObject(response.result) ? response.result : {};
  if (result.status !== 'Success') {
    throw fail(String(result.message || 'response.result.status was not Success'));
  }
  const { convertedObjects } = response;
  const found = Array.isArray(convertedObjects) ? convertedObjects : [];
  if (found.length !== count) {
    throw fail(`webhook returned ${found.length} objects, expected ${count}`);
  }
  return found;
}

/** A webhook may change everything but what an object is: only labels and annotations of its metadata. */
function checked(
  from: KubeObject,
  made: unknown,
  apiVersion: string,
  fail: (why: string) => ApiError,
): KubeObject {
  if (!isObject(made)) throw fail('invalid converted object: not an object');
  if (made.apiVersion !== apiVersion) {
    throw fail(`invalid converted object: invalid apiVersion ${JSON.stringify(made.apiVersion)}`);
  }
  if (made.kind !== from.kind) {
    throw fail(`invalid converted object: invalid kind ${JSON.stringify(made.kind)}`);
  }
  const metadata = isObject(made.metadata) ? made.metadata : {};
  for (const field of ['name', 'namespace', 'uid'] as const) {
    if (!jsonEqual(metadata[field], from.metadata[field])) {
      throw fail(`invalid converted object: must have the same ${field}`);
    }
  }
  const { labels, annotations } = metadata;
  const kept: JsonObject = { ...from.metadata };
  delete kept.labels;
  delete kept.annotations;
  return {
    ...made,
    metadata: {
      ...kept,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
  } as KubeObject;
}
