import { type FieldError, invalid, required } from '../../../api/field-errors.ts';
import { configMapKey, dns1123Subdomain, environmentName } from '../../../api/names.ts';
import type { Container } from '../../../api/types.ts';
import { checked, mustBeThere, oneOf } from '../validation.ts';

type Variable = NonNullable<Container['env']>[number];
type Source = NonNullable<Variable['valueFrom']>;
type FieldRef = NonNullable<Source['fieldRef']>;
type ResourceRef = NonNullable<Source['resourceFieldRef']>;

const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
/** Fields of a Pod that the downward API knows by name, here or in volumes. */
const CONVERTIBLE: ReadonlySet<string> = new Set([
  ...ENV_FIELDS,
  'metadata.annotations',
  'metadata.labels',
  'spec.host',
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
]);
const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
/** `metadata.labels['key']` */
const SUBSCRIPT = /^metadata\.(labels|annotations)\['(.*)'\]$/s;

export function validateEnv(container: Container, path: string): FieldError[] {
  const out: FieldError[] = [];
  for (const [index, variable] of (container.env ?? []).entries()) {
    const at = `${path}.env[${index}]`;
    out.push(...mustBeThere(variable.name, `${at}.name`));
    if (variable.name) out.push(...checked(variable.name, environmentName, `${at}.name`));
    if (variable.valueFrom) out.push(...validateSource(variable, at));
  }
  for (const [index, source] of (container.envFrom ?? []).entries()) {
    out.push(...validateEnvFrom(source, `${path}.envFrom[${index}]`));
  }
  return out;
}

function validateSource(variable: Variable, path: string): FieldError[] {
  const at = `${path}.valueFrom`;
  const source = variable.valueFrom ?? {};
  const given = Object.values(source).filter((part) => part !== undefined).length;
  const out: FieldError[] = [];
  if (source.fieldRef) out.push(...validateFieldRef(source.fieldRef, ENV_FIELDS, `${at}.fieldRef`));
  if (source.resourceFieldRef) {
    out.push(...validateResourceRef(source.resourceFieldRef, `${at}.resourceFieldRef`));
  }
  if (source.configMapKeyRef) {
    out.push(...validateKeyRef(source.configMapKeyRef, `${at}.configMapKeyRef`));
  }
  if (source.secretKeyRef) out.push(...validateKeyRef(source.secretKeyRef, `${at}.secretKeyRef`));
  if (given === 0) {
    const detail =
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`';
    out.push(invalid(at, '', detail));
  } else if (variable.value) {
    out.push(invalid(at, '', 'may not be specified when `value` is not empty'));
  } else if (given > 1) {
    out.push(invalid(at, '', 'may not have more than one field specified at a time'));
  }
  return out;
}

export function validateFieldRef(
  ref: FieldRef,
  supported: readonly string[],
  path: string,
): FieldError[] {
  if (!ref.apiVersion) return [required(`${path}.apiVersion`)];
  if (!ref.fieldPath) return [required(`${path}.fieldPath`)];
  if (ref.apiVersion !== 'v1') {
    const detail = 'error converting fieldPath: unsupported pod version';
    return [invalid(`${path}.fieldPath`, ref.fieldPath, `${detail}: ${ref.apiVersion}`)];
  }
  const subscript = SUBSCRIPT.exec(ref.fieldPath);
  if (subscript) {
    return subscript[2] ? [] : [invalid(path, ref.fieldPath, 'name part must be non-empty')];
  }
  // Upstream converts the label first, and only then asks whether it fits here.
  if (!CONVERTIBLE.has(ref.fieldPath)) {
    const detail = `error converting fieldPath: field label not supported: ${ref.fieldPath}`;
    return [invalid(`${path}.fieldPath`, ref.fieldPath, detail)];
  }
  const label = ref.fieldPath === 'spec.host' ? 'spec.nodeName' : ref.fieldPath;
  return oneOf(label, supported, `${path}.fieldPath`);
}

export function validateResourceRef(ref: ResourceRef, path: string): FieldError[] {
  if (!ref.resource) return [required(`${path}.resource`)];
  if (/^(limits|requests)\.hugepages-/.test(ref.resource)) return [];
  return oneOf(ref.resource, RESOURCES, `${path}.resource`);
}

function validateKeyRef(
  ref: { name?: string | undefined; key: string },
  path: string,
): FieldError[] {
  const out = mustBeThere(ref.name, `${path}.name`);
  if (ref.name) out.push(...checked(ref.name, dns1123Subdomain, `${path}.name`));
  out.push(...mustBeThere(ref.key, `${path}.key`));
  if (ref.key) out.push(...checked(ref.key, configMapKey, `${path}.key`));
  return out;
}

function validateEnvFrom(
  source: NonNullable<Container['envFrom']>[number],
  path: string,
): FieldError[] {
  const out: FieldError[] = [];
  if (source.prefix) out.push(...checked(source.prefix, environmentName, `${path}.prefix`));
  for (const part of ['configMapRef', 'secretRef'] as const) {
    const ref = source[part];
    if (!ref) continue;
    out.push(...mustBeThere(ref.name, `${path}.${part}.name`));
    if (ref.name) out.push(...checked(ref.name, dns1123Subdomain, `${path}.${part}.name`));
  }
  if (source.configMapRef && source.secretRef) {
    out.push(invalid(path, '', 'may not have more than one field specified at a time'));
  } else if (!source.configMapRef && !source.secretRef) {
    out.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
  }
  return out;
}
