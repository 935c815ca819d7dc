import {
  duplicate,
  type FieldError,
  invalid,
  notSupported,
  required,
} from '../../api/field-errors.ts';
import { dns1035Label, dns1123Subdomain } from '../../api/names.ts';
import { validateClientConfig } from '../webhook-client-validation.ts';
import type { Crd, CrdVersion } from './custom-kind.ts';
import type { JsonSchema } from './json-schema.ts';
import { checkRules } from './rules.ts';
import { checkStructural } from './structural.ts';
import { validateViews } from './validate-views.ts';

/** What is wrong with a CustomResourceDefinition (apiextensions validation). */
export function validateCrd({ metadata, spec }: Crd): FieldError[] {
  const errors: FieldError[] = [];
  if (metadata.name !== `${spec.names.plural}.${spec.group}`) {
    errors.push(
      invalid('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'),
    );
  }
  if (!spec.group) errors.push(required('spec.group'));
  else if (!spec.group.includes('.')) {
    errors.push(invalid('spec.group', spec.group, 'should be a domain with at least one dot'));
  } else {
    for (const why of dns1123Subdomain(spec.group))
      errors.push(invalid('spec.group', spec.group, why));
  }
  if (!spec.scope) errors.push(required('spec.scope'));
  else if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced') {
    errors.push(notSupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']));
  }
  if (spec.preserveUnknownFields) {
    const why =
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
    errors.push(invalid('spec.preserveUnknownFields', true, why));
  }
  return [...errors, ...validateNames(spec.names), ...validateVersions(spec), ...conversion(spec)];
}

function validateNames(names: Crd['spec']['names']): FieldError[] {
  const errors: FieldError[] = [];
  const check = (field: string, value: string | undefined) => {
    if (!value) errors.push(required(`spec.names.${field}`));
    else {
      for (const why of dns1035Label(value.toLowerCase())) {
        errors.push(invalid(`spec.names.${field}`, value, why));
      }
    }
  };
  check('plural', names.plural);
  check('singular', names.singular);
  check('kind', names.kind);
  check('listKind', names.listKind);
  names.shortNames?.forEach((name, i) => {
    for (const why of dns1035Label(name))
      errors.push(invalid(`spec.names.shortNames[${i}]`, name, why));
  });
  if (names.listKind && names.listKind === names.kind) {
    errors.push(
      invalid('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'),
    );
  }
  return errors;
}

function validateVersions({ versions }: Crd['spec']): FieldError[] {
  if (versions.length === 0) {
    return [
      invalid('spec.versions', versions, 'must have exactly one version marked as storage version'),
    ];
  }
  const errors: FieldError[] = [];
  if (versions.filter(({ storage }) => storage).length !== 1) {
    const names = versions.map(({ name }) => name);
    errors.push(
      invalid('spec.versions', names, 'must have exactly one version marked as storage version'),
    );
  }
  const seen = new Set<string>();
  versions.forEach((version, i) => {
    const path = `spec.versions[${i}]`;
    if (seen.has(version.name)) errors.push(duplicate(`${path}.name`, version.name));
    seen.add(version.name);
    for (const why of dns1035Label(version.name))
      errors.push(invalid(`${path}.name`, version.name, why));
    errors.push(...validateVersion(version, path));
  });
  return errors;
}

function validateVersion(version: CrdVersion, path: string): FieldError[] {
  const schema = version.schema?.openAPIV3Schema as JsonSchema | undefined;
  if (schema === undefined) {
    return [required(`${path}.schema.openAPIV3Schema`, 'schemas are required')];
  }
  const at = `${path}.schema.openAPIV3Schema`;
  const errors = checkStructural(schema, at);
  if (errors.length === 0) errors.push(...checkRules(schema, at));
  return [...errors, ...validateViews(version, schema, path)];
}

function conversion({ conversion: asked }: Crd['spec']): FieldError[] {
  if (asked === undefined || asked.strategy === 'None') return [];
  const path = 'spec.conversion.strategy';
  if (asked.strategy === 'Webhook') return webhookConversion(asked);
  return [notSupported(path, asked.strategy, ['None', 'Webhook'])];
}

function webhookConversion({ webhook }: NonNullable<Crd['spec']['conversion']>): FieldError[] {
  const path = 'spec.conversion.webhook';
  if (!webhook) return [required(`${path}.clientConfig`)];
  const errors: FieldError[] = [];
  const { clientConfig, conversionReviewVersions: versions } = webhook;
  if (!clientConfig) errors.push(required(`${path}.clientConfig`));
  else errors.push(...validateClientConfig(clientConfig, `${path}.clientConfig`));
  if (!versions?.length) {
    errors.push(required(`${path}.conversionReviewVersions`));
  } else if (!versions.some((version) => version === 'v1' || version === 'v1beta1')) {
    const why = 'must include at least one of v1, v1beta1';
    errors.push(invalid(`${path}.conversionReviewVersions`, versions, why));
  }
  return errors;
}

/** What an update of a CustomResourceDefinition may not do, besides being wrong. */
export function validateCrdUpdate(crd: Crd, old: Crd): FieldError[] {
  const errors = validateCrd(crd);
  const isEstablished = old.status?.conditions?.some(
    ({ type, status }) => type === 'Established' && status === 'True',
  );
  if (isEstablished) {
    const fixed = [
      ['spec.scope', crd.spec.scope, old.spec.scope],
      ['spec.names.kind', crd.spec.names.kind, old.spec.names.kind],
    ] as const;
    for (const [field, value, before] of fixed) {
      if (value !== before) errors.push(invalid(field, value, 'field is immutable'));
    }
  }
  const fixed = [
    ['spec.group', crd.spec.group, old.spec.group],
    ['spec.names.plural', crd.spec.names.plural, old.spec.names.plural],
  ] as const;
  for (const [field, value, before] of fixed) {
    if (value !== before) errors.push(invalid(field, value, 'field is immutable'));
  }
  const names = new Set(crd.spec.versions.map(({ name }) => name));
  const lost = (old.status?.storedVersions ?? []).filter((name) => !names.has(name));
  lost.forEach((name, i) => {
    const why = `must appear in spec.versions`;
    errors.push(invalid(`status.storedVersions[${i}]`, name, why));
  });
  return errors;
}
