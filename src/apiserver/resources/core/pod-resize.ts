import { type FieldError, forbidden, invalid } from '../../../api/field-errors.ts';
import { isMirrorPod, isSidecar, qosClassOf } from '../../../api/pods.ts';
import type { Container, Pod, PodSpec, ResourceRequirements } from '../../../api/types.ts';
import { jsonEqual } from '../../../util/json.ts';
import { validatePodSpec } from '../pod-spec/validate-pod-spec.ts';

const ROLES = ['containers', 'initContainers'] as const;
const LISTS = ['requests', 'limits'] as const;

/**
 * What a resize may ask for, into a copy of the spec that there is: resources, and how containers take new ones. Containers
 * stand where the request has them, so that validation sees one that was moved or renamed.
 */
export function takeResizes(spec: PodSpec, asked: PodSpec): void {
  replace(spec, 'resources', asked.resources);
  for (const role of ROLES) {
    const present = new Map(spec[role]?.map((container) => [container.name, container]));
    const taken = asked[role]?.map((wanted) => {
      const container = present.get(wanted.name);
      if (!container) return wanted;
      replace(container, 'resources', wanted.resources);
      replace(container, 'resizePolicy', wanted.resizePolicy);
      return container;
    });
    if (taken) spec[role] = taken;
  }
}

function replace<T extends object, K extends keyof T>(object: T, key: K, value: T[K]): void {
  if (value === undefined) delete object[key];
  else object[key] = value;
}

/** A Pod keeps its class, its containers, and all that it asks for but amounts of cpu and memory. */
export function validatePodResize(pod: Pod, old: Pod): FieldError[] {
  const [spec, was] = [pod.spec, old.spec];
  if (!spec || !was) return [];
  if (isMirrorPod(old)) return [forbidden('', 'static pods cannot be resized')];
  if (was.os?.name === 'windows') return [forbidden('', 'windows pods cannot be resized')];
  const out = validatePodSpec(spec, 'spec');
  if ((old.status?.qosClass ?? qosClassOf(was)) !== qosClassOf(spec)) {
    const detail = 'Pod QOS Class may not change as a result of resizing';
    out.push(invalid('spec', old.status?.qosClass, detail));
  }
  if (!isSupported(old)) {
    out.push(forbidden('spec', 'Pod running on node without support for resize'));
  }
  out.push(...podLevelErrors(spec, was));
  const order = ROLES.flatMap((role) => orderErrors(role, spec[role] ?? [], was[role] ?? []));
  if (order.length > 0) return [...out, ...order];
  out.push(...ROLES.flatMap((role) => containerErrors(role, spec[role] ?? [], was[role] ?? [])));
  if (!jsonEqual(withoutAmounts(spec), withoutAmounts(was))) {
    out.push(forbidden('spec', 'only cpu and memory resources are mutable'));
  }
  return out;
}

/** The kubelet of a container that runs tells its resources, if it knows of resizes. */
function isSupported({ status }: Pod): boolean {
  const running = status?.containerStatuses?.find((one) => one.state?.running);
  return running === undefined || running.resources !== undefined;
}

function podLevelErrors({ resources }: PodSpec, { resources: was }: PodSpec): FieldError[] {
  const field = 'spec.resources';
  if (was && !resources) return [forbidden(field, 'pod-level resources cannot be removed')];
  const out = removalErrors(resources, was, { field, what: 'pod-level resource' });
  if (!jsonEqual(withoutCompute(resources), withoutCompute(was))) {
    out.push(forbidden('spec', 'only cpu and memory resources are mutable at pod-level'));
  }
  return out;
}

function orderErrors(
  role: (typeof ROLES)[number],
  containers: readonly Container[],
  was: readonly Container[],
): FieldError[] {
  if (containers.length !== was.length) {
    return [forbidden(`spec.${role}`, `${role} may not be added or removed on resize`)];
  }
  return containers.flatMap(({ name }, index) =>
    name === was[index]?.name
      ? []
      : [
          forbidden(
            `spec.${role}[${index}].name`,
            `${role} may not be renamed or reordered on resize`,
          ),
        ],
  );
}

function containerErrors(
  role: (typeof ROLES)[number],
  containers: readonly Container[],
  was: readonly Container[],
): FieldError[] {
  return containers.flatMap((container, index) => {
    const field = `spec.${role}[${index}].resources`;
    const before = was[index]?.resources;
    if (role === 'initContainers' && !isSidecar(container)) {
      return jsonEqual(container.resources ?? {}, before ?? {})
        ? []
        : [forbidden(field, 'resources for non-sidecar init containers are immutable')];
    }
    return removalErrors(container.resources, before, { field, what: 'resource' });
  });
}

function removalErrors(
  resources: ResourceRequirements | undefined,
  was: ResourceRequirements | undefined,
  { field, what }: { field: string; what: string },
): FieldError[] {
  return LISTS.filter((list) =>
    Object.keys(was?.[list] ?? {}).some((name) => resources?.[list]?.[name] === undefined),
  ).map((list) => forbidden(`${field}.${list}`, `${what} ${list} cannot be removed`));
}

/** The spec but for what a resize may change. */
function withoutAmounts(spec: PodSpec): object {
  const bare = (container: Container) => ({
    ...container,
    resources: withoutCompute(container.resources),
  });
  return {
    ...spec,
    resources: undefined,
    containers: spec.containers.map(bare),
    // What those of one that ends may not change has been said already.
    initContainers: (spec.initContainers ?? []).map(bare),
  };
}

function withoutCompute(resources: ResourceRequirements = {}): object {
  const { requests, limits, ...rest } = resources;
  const others = (list: Record<string, string> = {}): object => {
    const { cpu: _cpu, memory: _memory, ...left } = list;
    return left;
  };
  return { ...rest, requests: others(requests), limits: others(limits) };
}
