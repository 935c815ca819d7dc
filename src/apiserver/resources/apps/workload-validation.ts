import {
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
} from '../../../api/field-errors.ts';
import { percentOf } from '../../../api/int-or-string.ts';
import { selects } from '../../../api/labels.ts';
import type {
  DaemonSet,
  Deployment,
  LabelSelector,
  PodTemplateSpec,
  ReplicaSet,
  StatefulSet,
} from '../../../api/types.ts';
import { cloneJson, jsonEqual } from '../../../util/json.ts';
import { validatePodTemplate, validateReplicas } from '../pod-spec/validate-pod-spec.ts';
import {
  countOrPercent,
  immutable,
  notNegative,
  oneOf,
  optionalOneOf,
  validateLabelSelector,
} from '../validation.ts';

/** The selector of a workload, and that its template would be selected by it. */
export function validateSelector(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  kind = 'deployment',
): FieldError[] {
  if (!selector) return [required('spec.selector')];
  const out = validateLabelSelector(selector, 'spec.selector');
  const terms =
    Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions?.length ?? 0);
  if (terms === 0) {
    out.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`));
  } else if (out.length === 0 && !selects(selector, template?.metadata?.labels)) {
    const labels = template?.metadata?.labels;
    const detail = '`selector` does not match template `labels`';
    out.push(invalid('spec.template.metadata.labels', labels, detail));
  }
  return out;
}

/** Pods of these kinds are started again for ever. */
export function validateAlwaysTemplate(
  template: PodTemplateSpec | undefined,
  kind = 'ReplicaSet',
): FieldError[] {
  const out = validatePodTemplate(template, 'spec.template');
  const spec = template?.spec;
  if (!spec) return out;
  if (spec.restartPolicy !== 'Always') {
    out.push(notSupported('spec.template.spec.restartPolicy', spec.restartPolicy, ['Always']));
  }
  if (spec.activeDeadlineSeconds !== undefined) {
    const detail = `activeDeadlineSeconds in ${kind} is not Supported`;
    out.push(forbidden('spec.template.spec.activeDeadlineSeconds', detail));
  }
  return out;
}

export function validateDeployment({ spec }: Deployment): FieldError[] {
  if (!spec) return [required('spec')];
  const out = [
    ...validateReplicas(spec.replicas, 'spec.replicas'),
    ...validateSelector(spec.selector, spec.template),
    ...validateAlwaysTemplate(spec.template),
    ...validateStrategy(spec.strategy),
    ...notNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...notNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    ...notNegative(spec.progressDeadlineSeconds, 'spec.progressDeadlineSeconds'),
  ];
  const deadline = spec.progressDeadlineSeconds;
  if (deadline !== undefined && deadline <= (spec.minReadySeconds ?? 0)) {
    out.push(
      invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'),
    );
  }
  return out;
}

function validateStrategy(strategy: NonNullable<Deployment['spec']>['strategy']): FieldError[] {
  const type = strategy?.type;
  const rolling = strategy?.rollingUpdate;
  const at = 'spec.strategy.rollingUpdate';
  if (type === 'Recreate' && rolling) {
    return [forbidden(at, "may not be specified when strategy `type` is 'Recreate'")];
  }
  if (type !== 'RollingUpdate') return oneOf(type, ['Recreate', 'RollingUpdate'], 'spec.strategy');
  if (!rolling) {
    return [required(at, 'this should be defaulted and never be nil')];
  }
  return validateRollingUpdate(rolling, at);
}

/** Bounds of a rolling update: not both zero, percentages at most all. */
function validateRollingUpdate(
  rolling: { maxUnavailable?: number | string | undefined; maxSurge?: number | string | undefined },
  at: string,
): FieldError[] {
  const { maxUnavailable, maxSurge } = rolling;
  const out = [
    ...countOrPercent(maxUnavailable, `${at}.maxUnavailable`),
    ...countOrPercent(maxSurge, `${at}.maxSurge`),
  ];
  if (isZero(maxUnavailable) && isZero(maxSurge)) {
    const detail = 'may not be 0 when `maxSurge` is 0';
    out.push(invalid(`${at}.maxUnavailable`, maxUnavailable, detail));
  }
  if ((percentOf(maxUnavailable ?? 0) ?? 0) > 100) {
    out.push(invalid(`${at}.maxUnavailable`, maxUnavailable, 'must not be greater than 100%'));
  }
  return out;
}

function isZero(value: number | string | undefined): boolean {
  return value === 0 || value === undefined || percentOf(value) === 0;
}

export function validateDeploymentUpdate(deployment: Deployment, old: Deployment): FieldError[] {
  return [
    ...validateDeployment(deployment),
    ...immutable(deployment.spec?.selector, old.spec?.selector, 'spec.selector'),
  ];
}

/** Counts that a controller reports: none negative, none above the whole. */
export function validateCounts(
  status: object | undefined,
  whole: string,
  parts: readonly string[],
): FieldError[] {
  const counts = (status ?? {}) as Record<string, number | undefined>;
  const total = counts[whole] ?? 0;
  const out = notNegative(total, `status.${whole}`);
  for (const part of parts) {
    const count = counts[part];
    out.push(...notNegative(count, `status.${part}`));
    if ((count ?? 0) > total) {
      out.push(invalid(`status.${part}`, count, `cannot be greater than status.${whole}`));
    }
  }
  return out;
}

const READY_PARTS = ['readyReplicas', 'availableReplicas'];

export function validateDeploymentStatus({ status }: Deployment): FieldError[] {
  const out = validateCounts(status, 'replicas', ['updatedReplicas', ...READY_PARTS]);
  const { availableReplicas: available = 0, readyReplicas: ready = 0 } = status ?? {};
  if (available > ready) {
    out.push(
      invalid('status.availableReplicas', available, 'cannot be greater than readyReplicas'),
    );
  }
  return out;
}

export function validateReplicaSet({ spec }: ReplicaSet): FieldError[] {
  if (!spec) return [required('spec')];
  return [
    ...validateReplicas(spec.replicas, 'spec.replicas'),
    ...notNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...validateSelector(spec.selector, spec.template),
    ...validateAlwaysTemplate(spec.template),
  ];
}

export function validateReplicaSetUpdate(replicaSet: ReplicaSet, old: ReplicaSet): FieldError[] {
  return [
    ...validateReplicaSet(replicaSet),
    ...immutable(replicaSet.spec?.selector, old.spec?.selector, 'spec.selector'),
  ];
}

export function validateReplicaSetStatus({ status }: ReplicaSet): FieldError[] {
  return validateCounts(status, 'replicas', ['fullyLabeledReplicas', ...READY_PARTS]);
}

export function validateDaemonSet({ spec }: DaemonSet): FieldError[] {
  if (!spec) return [required('spec')];
  return [
    ...validateSelector(spec.selector, spec.template, 'daemonset'),
    ...validateAlwaysTemplate(spec.template, 'DaemonSet'),
    ...notNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...notNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    ...validateDaemonStrategy(spec.updateStrategy),
  ];
}

function validateDaemonStrategy(
  strategy: NonNullable<DaemonSet['spec']>['updateStrategy'],
): FieldError[] {
  const at = 'spec.updateStrategy';
  const types = ['OnDelete', 'RollingUpdate'];
  if (strategy?.type !== 'RollingUpdate') return oneOf(strategy?.type, types, `${at}.type`);
  const rolling = strategy.rollingUpdate;
  if (!rolling) return [required(`${at}.rollingUpdate`)];
  const out = validateRollingUpdate(
    { ...rolling, maxSurge: rolling.maxSurge ?? 0 },
    `${at}.rollingUpdate`,
  );
  if (!isZero(rolling.maxUnavailable) && !isZero(rolling.maxSurge)) {
    const detail = 'may not be set when maxUnavailable is non-zero';
    out.push(invalid(`${at}.rollingUpdate.maxSurge`, rolling.maxSurge, detail));
  }
  return out;
}

export function validateDaemonSetUpdate(daemonSet: DaemonSet, old: DaemonSet): FieldError[] {
  return [
    ...validateDaemonSet(daemonSet),
    ...immutable(daemonSet.spec?.selector, old.spec?.selector, 'spec.selector'),
  ];
}

export function validateStatefulSet({ spec }: StatefulSet): FieldError[] {
  if (!spec) return [required('spec')];
  const policies = ['OrderedReady', 'Parallel'];
  const out = [
    ...oneOf(spec.podManagementPolicy, policies, 'spec.podManagementPolicy'),
    ...validateStatefulStrategy(spec.updateStrategy),
    ...validateReplicas(spec.replicas, 'spec.replicas'),
    ...notNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...notNegative(spec.ordinals?.start, 'spec.ordinals.start'),
    ...validateSelector(spec.selector, spec.template, 'statefulset'),
    ...validateAlwaysTemplate(withClaims(spec), 'StatefulSet'),
  ];
  const retention = spec.persistentVolumeClaimRetentionPolicy;
  for (const part of ['whenDeleted', 'whenScaled'] as const) {
    const field = `spec.persistentVolumeClaimRetentionPolicy.${part}`;
    out.push(...optionalOneOf(retention?.[part], ['Delete', 'Retain'], field));
  }
  return out;
}

/** The template as its Pods will be: each claim template becomes a volume of its name, in place of one that is there. */
function withClaims({
  template,
  volumeClaimTemplates = [],
}: NonNullable<StatefulSet['spec']>): PodTemplateSpec {
  if (!template?.spec || volumeClaimTemplates.length === 0) return template;
  const names = new Set(volumeClaimTemplates.map(({ metadata }) => metadata?.name ?? ''));
  const claims = [...names].map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  const others = (template.spec.volumes ?? []).filter(({ name }) => !names.has(name));
  return { ...template, spec: { ...template.spec, volumes: [...claims, ...others] } };
}

function validateStatefulStrategy(
  strategy: NonNullable<StatefulSet['spec']>['updateStrategy'],
): FieldError[] {
  const at = 'spec.updateStrategy';
  if (strategy?.type === 'OnDelete') {
    const detail = "only allowed for updateStrategy 'RollingUpdate'";
    return strategy.rollingUpdate
      ? [invalid(`${at}.rollingUpdate`, strategy.rollingUpdate, detail)]
      : [];
  }
  if (strategy?.type !== 'RollingUpdate') {
    return strategy?.type
      ? [invalid(at, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
      : [required(at)];
  }
  return notNegative(strategy.rollingUpdate?.partition, `${at}.rollingUpdate.partition`);
}

const STATEFUL_MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

export function validateStatefulSetUpdate(set: StatefulSet, old: StatefulSet): FieldError[] {
  const out = validateStatefulSet(set);
  if (!set.spec || !old.spec) return out;
  const next = cloneJson(set.spec) as Record<string, unknown>;
  const before = old.spec as Record<string, unknown>;
  for (const field of STATEFUL_MUTABLE) {
    if (before[field] === undefined) delete next[field];
    else next[field] = before[field];
  }
  if (!jsonEqual(next, before)) {
    const names =
      "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'";
    out.push(
      forbidden('spec', `updates to statefulset spec for fields other than ${names} are forbidden`),
    );
  }
  return out;
}

export function validateStatefulSetStatus({ status }: StatefulSet): FieldError[] {
  return validateCounts(status, 'replicas', [
    'readyReplicas',
    'availableReplicas',
    'currentReplicas',
    'updatedReplicas',
  ]);
}
