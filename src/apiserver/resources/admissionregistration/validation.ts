import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
  tooMany,
} from '../../../api/field-errors.ts';
import { dns1123Label, dns1123Subdomain, inRange, qualifiedName } from '../../../api/names.ts';
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from '../../../api/types.ts';
import { validateClientConfig } from '../../webhook-client-validation.ts';
import {
  checked,
  each,
  mustBeThere,
  oneOf,
  optionalOneOf,
  repeated,
  requiredAnd,
  validateLabelSelector,
} from '../validation.ts';
import { compileErrors } from './compile-errors.ts';

type Webhook = NonNullable<ValidatingWebhookConfiguration['webhooks']>[number];
type Rule = NonNullable<Webhook['rules']>[number];
type MatchCondition = NonNullable<Webhook['matchConditions']>[number];
type AnyPolicy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy;
type AnyBinding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding;
type Match = NonNullable<NonNullable<AnyPolicy['spec']>['matchConstraints']>;

const FAILURE = ['Fail', 'Ignore'];
const MATCH = ['Equivalent', 'Exact'];
const SCOPES = ['*', 'Cluster', 'Namespaced'];
const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const SIDE_EFFECTS = ['None', 'NoneOnDryRun'];
const MAX_CONDITIONS = 64;
const MAX_TIMEOUT = 30;

export function validateWebhooks(
  configuration: MutatingWebhookConfiguration | ValidatingWebhookConfiguration,
): FieldError[] {
  const webhooks = configuration.webhooks ?? [];
  const doubles = repeated(webhooks, (webhook) => webhook.name);
  return each(webhooks, 'webhooks', (webhook, at, index) => [
    ...validateWebhook(webhook, at),
    ...(doubles.has(index) ? [duplicate(`${at}.name`, webhook.name)] : []),
  ]);
}

function validateWebhook(webhook: Webhook, at: string): FieldError[] {
  const { timeoutSeconds: timeout = 0, admissionReviewVersions: versions } = webhook;
  const out = [
    ...validateWebhookName(webhook.name, `${at}.name`),
    ...each(webhook.rules, `${at}.rules`, validateRule),
    ...optionalOneOf(webhook.failurePolicy, FAILURE, `${at}.failurePolicy`),
    ...optionalOneOf(webhook.matchPolicy, MATCH, `${at}.matchPolicy`),
    ...oneOf(webhook.sideEffects, SIDE_EFFECTS, `${at}.sideEffects`),
  ];
  if (inRange(timeout, 1, MAX_TIMEOUT).length > 0) {
    const detail = `the timeout value must be between 1 and ${MAX_TIMEOUT} seconds`;
    out.push(invalid(`${at}.timeoutSeconds`, timeout, detail));
  }
  out.push(
    ...mustBeThere(versions, `${at}.admissionReviewVersions`, 'must specify one of v1, v1beta1'),
  );
  if (versions?.length && !versions.includes('v1') && !versions.includes('v1beta1')) {
    const detail = 'must include at least one of v1, v1beta1';
    out.push(invalid(`${at}.admissionReviewVersions`, versions, detail));
  }
  return [
    ...out,
    ...('reinvocationPolicy' in webhook
      ? optionalOneOf(
          webhook.reinvocationPolicy as string,
          ['IfNeeded', 'Never'],
          `${at}.reinvocationPolicy`,
        )
      : []),
    ...validateLabelSelector(webhook.namespaceSelector, `${at}.namespaceSelector`),
    ...validateLabelSelector(webhook.objectSelector, `${at}.objectSelector`),
    ...validateClientConfig(webhook.clientConfig, `${at}.clientConfig`),
    ...validateConditions(webhook.matchConditions, `${at}.matchConditions`),
  ];
}

/** Webhooks have names of three segments at least, so that they belong to somebody. */
function validateWebhookName(name: string, field: string): FieldError[] {
  const out = requiredAnd(name, dns1123Subdomain, field);
  if (out.length > 0 || name.split('.').length >= 3) return out;
  return [
    invalid(field, name, 'should be a domain with at least three segments separated by dots'),
  ];
}

const PLAIN_NAMES = {
  operations: 'operations',
  apiGroups: 'API groups',
  apiVersions: 'API versions',
  resources: 'resources',
} as const;

function validateRule(rule: Rule, at: string): FieldError[] {
  const out: FieldError[] = [];
  for (const part of ['operations', 'apiGroups', 'apiVersions', 'resources'] as const) {
    const values = rule[part] ?? [];
    const field = `${at}.${part}`;
    out.push(...mustBeThere(values, field));
    if (values.length > 1 && values.includes('*') && part !== 'resources') {
      const detail = `if '*' is present, must not specify other ${PLAIN_NAMES[part]}`;
      out.push(invalid(field, values, detail));
    }
  }
  out.push(
    ...each(rule.operations, `${at}.operations`, (word, where) => oneOf(word, OPERATIONS, where)),
    ...each(rule.apiVersions, `${at}.apiVersions`, (word, where) => mustBeThere(word, where)),
    ...each(rule.resources, `${at}.resources`, (word, where) => mustBeThere(word, where)),
    ...optionalOneOf(rule.scope, SCOPES, `${at}.scope`),
  );
  return out;
}

function validateConditions(
  conditions: readonly MatchCondition[] | undefined,
  path: string,
): FieldError[] {
  const list = conditions ?? [];
  if (list.length > MAX_CONDITIONS) {
    return [tooMany(path, list.length, MAX_CONDITIONS)];
  }
  const doubles = repeated(list, (condition) => condition.name);
  return each(list, path, ({ name, expression }, at, index) => [
    ...(expression.trim() === ''
      ? [required(`${at}.expression`)]
      : compileErrors(expression, { scope: 'condition', type: 'bool' }, `${at}.expression`)),
    ...requiredAnd(name, qualifiedName, `${at}.name`),
    ...(doubles.has(index) ? [duplicate(`${at}.name`, name)] : []),
  ]);
}

function validateMatch(match: Match | undefined, at: string): FieldError[] {
  if (!match) return [];
  return [
    ...optionalOneOf(match.matchPolicy, MATCH, `${at}.matchPolicy`),
    ...validateLabelSelector(match.namespaceSelector, `${at}.namespaceSelector`),
    ...validateLabelSelector(match.objectSelector, `${at}.objectSelector`),
    ...each(match.resourceRules, `${at}.resourceRules`, validateRule),
    ...each(match.excludeResourceRules, `${at}.excludeResourceRules`, validateRule),
  ];
}

function validatePolicyCommon({ spec }: AnyPolicy): FieldError[] {
  const out: FieldError[] = [];
  const { paramKind, matchConstraints } = spec ?? {};
  if (paramKind) {
    out.push(
      ...mustBeThere(paramKind.apiVersion, 'spec.paramKind.apiVersion'),
      ...mustBeThere(paramKind.kind, 'spec.paramKind.kind'),
    );
  }
  if (!matchConstraints) out.push(required('spec.matchConstraints'));
  else if (!matchConstraints.resourceRules?.length) {
    out.push(required('spec.matchConstraints.resourceRules'));
  }
  return [
    ...out,
    ...validateMatch(matchConstraints, 'spec.matchConstraints'),
    ...optionalOneOf(spec?.failurePolicy, FAILURE, 'spec.failurePolicy'),
    ...validateConditions(spec?.matchConditions, 'spec.matchConditions'),
    ...each(spec?.variables, 'spec.variables', ({ name, expression }, at, index) => [
      ...mustBeThere(name, `${at}.name`),
      ...mustBeThere(expression.trim(), `${at}.expression`, 'expression is not specified'),
      ...compileErrors(
        expression,
        // Each may use those before it.
        { scope: 'policy', variables: variableNames(spec).slice(0, index) },
        `${at}.expression`,
      ),
    ]),
  ];
}

function variableNames(spec: AnyPolicy['spec']): string[] {
  return (spec?.variables ?? []).map(({ name }) => name);
}

export function validateValidatingPolicy(policy: ValidatingAdmissionPolicy): FieldError[] {
  const variables = variableNames(policy.spec);
  const { validations, auditAnnotations } = policy.spec ?? {};
  const out = validatePolicyCommon(policy);
  if (!validations?.length && !auditAnnotations?.length) {
    const detail = 'validations or auditAnnotations must be specified';
    out.push(required('spec.validations', detail));
  }
  return [
    ...out,
    ...each(validations, 'spec.validations', ({ expression, message, messageExpression }, at) => [
      ...mustBeThere(expression.trim(), `${at}.expression`, 'expression is not specified'),
      ...compileErrors(
        expression,
        { scope: 'policy', type: 'bool', variables },
        `${at}.expression`,
      ),
      ...compileErrors(
        messageExpression ?? '',
        { scope: 'message', type: 'string', variables },
        `${at}.messageExpression`,
      ),
      ...(message?.includes('\n')
        ? [invalid(`${at}.message`, message, 'message must not contain line breaks')]
        : []),
    ]),
  ];
}

export function validateMutatingPolicy(policy: MutatingAdmissionPolicy): FieldError[] {
  const { mutations, reinvocationPolicy } = policy.spec ?? {};
  const variables = variableNames(policy.spec);
  return [
    ...validatePolicyCommon(policy),
    ...oneOf(reinvocationPolicy, ['IfNeeded', 'Never'], 'spec.reinvocationPolicy'),
    ...mustBeThere(mutations ?? [], 'spec.mutations'),
    ...each(mutations, 'spec.mutations', ({ patchType, jsonPatch, applyConfiguration }, at) => {
      const own = oneOf(patchType, ['ApplyConfiguration', 'JSONPatch'], `${at}.patchType`);
      if (patchType === 'JSONPatch') {
        const field = `${at}.jsonPatch.expression`;
        own.push(...mutationErrors(jsonPatch?.expression, variables, field));
        if (applyConfiguration) {
          own.push(
            forbidden(
              `${at}.applyConfiguration`,
              'applyConfiguration is only allowed for patchType ApplyConfiguration',
            ),
          );
        }
      } else if (patchType === 'ApplyConfiguration') {
        const field = `${at}.applyConfiguration.expression`;
        own.push(...mutationErrors(applyConfiguration?.expression, variables, field));
      }
      return own;
    }),
  ];
}

function mutationErrors(
  expression: string | undefined,
  variables: readonly string[],
  field: string,
): FieldError[] {
  return [
    ...mustBeThere(expression?.trim(), field),
    ...compileErrors(expression ?? '', { scope: 'mutation', variables }, field),
  ];
}

const ACTIONS = ['Audit', 'Deny', 'Warn'];

export function validatePolicyBinding(binding: AnyBinding): FieldError[] {
  const { policyName, paramRef, matchResources } = binding.spec ?? {};
  const out = requiredAnd(policyName, dns1123Subdomain, 'spec.policyName');
  if (paramRef) {
    if (paramRef.name && paramRef.selector) {
      const detail = 'name and selector are mutually exclusive';
      out.push(forbidden('spec.paramRef.name', detail));
    } else if (!paramRef.name && !paramRef.selector) {
      out.push(required('spec.paramRef', 'one of name or selector must be specified'));
    }
    if (paramRef.namespace) {
      out.push(...checked(paramRef.namespace, dns1123Label, 'spec.paramRef.namespace'));
    }
    const field = 'spec.paramRef.parameterNotFoundAction';
    out.push(...oneOf(paramRef.parameterNotFoundAction, ['Allow', 'Deny'], field));
  }
  return [...out, ...validateMatch(matchResources, 'spec.matchResources')];
}

export function validateValidatingBinding(binding: ValidatingAdmissionPolicyBinding): FieldError[] {
  const actions = binding.spec?.validationActions ?? [];
  const field = 'spec.validationActions';
  const out = mustBeThere(actions, field, 'at least one validation action is required');
  if (actions.includes('Deny') && actions.includes('Warn')) {
    out.push(
      invalid(
        field,
        actions,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
      ),
    );
  }
  return [
    ...validatePolicyBinding(binding),
    ...out,
    ...each(actions, field, (action, at) => oneOf(action, ACTIONS, at)),
  ];
}
