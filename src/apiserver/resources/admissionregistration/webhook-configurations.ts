import {
  MUTATING_WEBHOOK_CONFIGURATIONS,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
} from '../../../api/system-resource-types.ts';
import type {
  MutatingWebhookConfiguration,
  ValidatingWebhookConfiguration,
} from '../../../api/types.ts';
import type { Cell } from '../../resource-kind.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateWebhooks } from './validation.ts';

type AnyConfiguration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;
type Webhook = NonNullable<AnyConfiguration['webhooks']>[number];

function defaultWebhook(webhook: Webhook): void {
  webhook.failurePolicy ??= 'Fail';
  webhook.matchPolicy ??= 'Equivalent';
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  if (webhook.clientConfig.service) webhook.clientConfig.service.port ??= 443;
  for (const rule of webhook.rules ?? []) rule.scope ??= '*';
}

const COLUMNS = [
  NAME_COLUMN,
  column('Webhooks', 'How many webhooks it has.', { type: 'integer' }),
  AGE_COLUMN,
];

function row({ metadata, webhooks }: AnyConfiguration, now: number): Cell[] {
  return [metadata.name, webhooks?.length ?? 0, age(metadata.creationTimestamp, now)];
}

export const mutatingWebhookConfigurationKind = defineKind<MutatingWebhookConfiguration>({
  type: MUTATING_WEBHOOK_CONFIGURATIONS,
  categories: ['api-extensions'],
  strategy: {
    default({ webhooks }) {
      for (const webhook of webhooks ?? []) {
        defaultWebhook(webhook);
        webhook.reinvocationPolicy ??= 'Never';
      }
    },
    validate: validateWebhooks,
    validateUpdate: validateWebhooks,
    generationFields: ['webhooks'],
  },
  columns: COLUMNS,
  row,
});

export const validatingWebhookConfigurationKind = defineKind<ValidatingWebhookConfiguration>({
  type: VALIDATING_WEBHOOK_CONFIGURATIONS,
  categories: ['api-extensions'],
  strategy: {
    default({ webhooks }) {
      for (const webhook of webhooks ?? []) defaultWebhook(webhook);
    },
    validate: validateWebhooks,
    validateUpdate: validateWebhooks,
    generationFields: ['webhooks'],
  },
  columns: COLUMNS,
  row,
});
