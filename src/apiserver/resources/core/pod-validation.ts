import { type FieldError, forbidden, invalid } from '../../../api/field-errors.ts';
import { isMirrorPod } from '../../../api/pods.ts';
import type { Container, Pod, PodSpec } from '../../../api/types.ts';
import { cloneJson, jsonEqual } from '../../../util/json.ts';
import { validateImage } from '../pod-spec/validate-container.ts';
import { validatePodSpec } from '../pod-spec/validate-pod-spec.ts';
import { type Toleration, validateTolerations } from '../pod-spec/validate-scheduling.ts';
import { each, IMMUTABLE } from '../validation.ts';

export function validatePod(pod: Pod): FieldError[] {
  const spec = pod.spec;
  if (!spec) return [forbidden('spec', 'a pod must have a spec')];
  const out = validatePodSpec(spec, 'spec');
  if (spec.ephemeralContainers?.length) {
    out.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if (spec.nodeName && spec.schedulingGates?.length) {
    out.push(
      forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'),
    );
  }
  if (isMirrorPod(pod) && !spec.nodeName) {
    const detail = 'must set spec.nodeName if mirror pod annotation is set';
    out.push(invalid('metadata.annotations[kubernetes.io/config.mirror]', '', detail));
  }
  return out;
}

const MAY_CHANGE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** Almost all of a Pod's spec is what the Pod is; only these few fields may change. */
export function validatePodUpdate(pod: Pod, old: Pod): FieldError[] {
  const [spec, was] = [pod.spec, old.spec];
  if (!spec || !was) return [];
  const out: FieldError[] = [];
  for (const role of ['containers', 'initContainers'] as const) {
    if ((spec[role]?.length ?? 0) !== (was[role]?.length ?? 0)) {
      out.push(forbidden(`spec.${role}`, 'pod updates may not add or remove containers'));
      return out;
    }
    out.push(
      ...each(spec[role], `spec.${role}`, ({ image }, at) => validateImage(image, `${at}.image`)),
    );
  }
  out.push(...validateDeadline(spec, was), ...validateGateRemoval(spec, was));
  out.push(...validateAddedTolerations(spec.tolerations ?? [], was.tolerations ?? []));
  const allowed = withAllowedChanges(spec, was);
  if (!jsonEqual(allowed, was)) {
    out.push(forbidden('spec', `${MAY_CHANGE}\n${differences(allowed, was)}`));
  }
  return out;
}

/** The new spec as if none of the changes that are allowed had been made. */
function withAllowedChanges(spec: PodSpec, was: PodSpec): PodSpec {
  const out = cloneJson(spec);
  const restore = (list: Container[] | undefined, old: Container[] | undefined) => {
    for (const [index, container] of (list ?? []).entries()) {
      const image = old?.[index]?.image;
      if (image !== undefined) container.image = image;
    }
  };
  restore(out.containers, was.containers);
  restore(out.initContainers, was.initContainers);
  out.activeDeadlineSeconds = was.activeDeadlineSeconds;
  out.tolerations = was.tolerations;
  out.schedulingGates = was.schedulingGates;
  if ((was.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) {
    out.terminationGracePeriodSeconds = was.terminationGracePeriodSeconds;
  }
  // While nothing is scheduled yet, what it may be scheduled to can still be narrowed.
  if (was.schedulingGates?.length) {
    out.nodeSelector = was.nodeSelector;
    if (out.affinity?.nodeAffinity) out.affinity = was.affinity;
  }
  return out;
}

function validateDeadline(spec: PodSpec, was: PodSpec): FieldError[] {
  const [deadline, before] = [spec.activeDeadlineSeconds, was.activeDeadlineSeconds];
  if (deadline === before || before === undefined) return [];
  const field = 'spec.activeDeadlineSeconds';
  if (deadline === undefined) {
    return [invalid(field, deadline, 'must not update from a positive integer to nil value')];
  }
  if (deadline <= before) return [];
  return [invalid(field, deadline, 'must be less than or equal to previous value')];
}

function validateGateRemoval(spec: PodSpec, was: PodSpec): FieldError[] {
  const before = new Set((was.schedulingGates ?? []).map((gate) => gate.name));
  return each(spec.schedulingGates, 'spec.schedulingGates', ({ name }, at) =>
    before.has(name)
      ? []
      : [forbidden(at, 'only deletion is allowed, but found new scheduling gate')],
  ).slice(0, 1);
}

/** Existing tolerations stay, but for their seconds; new ones may come. */
function validateAddedTolerations(next: Toleration[], before: Toleration[]): FieldError[] {
  const bare = ({ tolerationSeconds: _, ...rest }: Toleration) => rest;
  const missing = before.some((old) => !next.some((now) => jsonEqual(bare(now), bare(old))));
  const field = 'spec.tolerations';
  if (missing) {
    return [
      forbidden(field, 'existing toleration can not be modified except its tolerationSeconds'),
    ];
  }
  return validateTolerations(next, field);
}

/** What differs, field by field, for the reader of the error. */
function differences(next: PodSpec, before: PodSpec): string {
  const [a, b] = [next as Record<string, unknown>, before as Record<string, unknown>];
  const fields = [...new Set([...Object.keys(b), ...Object.keys(a)])];
  return fields
    .filter((field) => !jsonEqual(a[field], b[field]))
    .map((f) => `-${f}: ${JSON.stringify(b[f])}\n+${f}: ${JSON.stringify(a[f])}`)
    .join('\n');
}

/** Writers of status may not move a Pod to another node or bring a finished container back. */
export function validatePodStatusUpdate(pod: Pod, old: Pod): FieldError[] {
  const out: FieldError[] = [];
  if (pod.spec?.nodeName !== old.spec?.nodeName) out.push(forbidden('spec.nodeName', IMMUTABLE));
  if (old.status?.qosClass && pod.status?.qosClass !== old.status.qosClass) {
    out.push(invalid('status.qosClass', pod.status?.qosClass, IMMUTABLE));
  }
  return out;
}

/** `ephemeralcontainers`: new ones may come, those that are there stay as they are. */
export function validateEphemeralUpdate(pod: Pod, old: Pod): FieldError[] {
  const next = pod.spec?.ephemeralContainers ?? [];
  const out = pod.spec ? validatePodSpec(pod.spec, 'spec') : [];
  for (const container of old.spec?.ephemeralContainers ?? []) {
    const now = next.find((c) => c.name === container.name);
    const field = 'spec.ephemeralContainers';
    if (!now) {
      const detail = `existing ephemeral containers ${JSON.stringify(container.name)} may not be removed\n`;
      out.push(forbidden(field, detail));
    } else if (!jsonEqual(now, container)) {
      const detail = `existing ephemeral containers ${JSON.stringify(container.name)} may not be changed\n`;
      out.push(forbidden(field, detail));
    }
  }
  return out;
}
