import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { dns1123Label, portName, portNumber } from '../../../api/names.ts';
import { isSidecar } from '../../../api/pods.ts';
import type { Container, PodSpec, Volume } from '../../../api/types.ts';
import { checked, mustBeThere, oneOf, optionalOneOf, repeated, within } from '../validation.ts';
import { validateEnv } from './validate-env.ts';
import { validateProbes } from './validate-probe.ts';
import { validateResources } from './validate-resources.ts';
import { validateSecurityContext } from './validate-security.ts';

/** What a container's checks know of the Pod around it. */
interface Surroundings {
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly graceSeconds: number;
  readonly hostNetwork: boolean;
  readonly role: 'containers' | 'initContainers' | 'ephemeralContainers';
}

export function validateContainers(spec: PodSpec, path: string): FieldError[] {
  const names = new Set<string>();
  const shared = {
    volumes: new Map((spec.volumes ?? []).map((v) => [v.name, v])),
    graceSeconds: spec.terminationGracePeriodSeconds ?? 30,
    hostNetwork: spec.hostNetwork ?? false,
  };
  const out: FieldError[] = [];
  if (spec.containers.length === 0) out.push(required(`${path}.containers`));
  for (const role of ['containers', 'initContainers', 'ephemeralContainers'] as const) {
    const list = (spec[role] ?? []) as Container[];
    const doubles = repeated(list, (c) => c.name, names);
    for (const [index, container] of list.entries()) {
      const at = `${path}.${role}[${index}]`;
      out.push(...validateContainer(container, { ...shared, role }, at));
      const double = doubles.get(index);
      if (double !== undefined) out.push(duplicate(`${at}.name`, double));
    }
  }
  out.push(...hostPortConflicts(spec, path));
  return out;
}

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];
const MESSAGE_POLICIES = ['FallbackToLogsOnError', 'File'];

function validateContainer(container: Container, around: Surroundings, path: string): FieldError[] {
  const out = mustBeThere(container.name, `${path}.name`);
  if (container.name) out.push(...checked(container.name, dns1123Label, `${path}.name`));
  out.push(...validateImage(container.image, `${path}.image`));
  const lasting = around.role === 'containers' || isSidecar(container);
  if (around.role !== 'ephemeralContainers') {
    const options = { sidecarOrMain: lasting, graceSeconds: around.graceSeconds };
    out.push(...validateProbes(container, options, path));
    out.push(...validatePorts(container, around.hostNetwork, path));
    out.push(...validateResources(container.resources, `${path}.resources`));
  } else out.push(...forbiddenForEphemeral(container, path));
  out.push(...validateEnv(container, path));
  out.push(...validateMounts(container, around.volumes, path));
  out.push(...oneOf(container.imagePullPolicy, PULL_POLICIES, `${path}.imagePullPolicy`));
  const policy = container.terminationMessagePolicy;
  out.push(...oneOf(policy, MESSAGE_POLICIES, `${path}.terminationMessagePolicy`));
  out.push(...validateRestartPolicy(container, around.role, path));
  out.push(...validateSecurityContext(container.securityContext, `${path}.securityContext`));
  return out;
}

export function validateImage(image: string | undefined, field: string): FieldError[] {
  if (!image) return [required(field)];
  if (image.trim() === image) return [];
  return [invalid(field, image, 'must not have leading or trailing whitespace')];
}

function validateRestartPolicy(
  container: Container,
  role: Surroundings['role'],
  path: string,
): FieldError[] {
  const policy = container.restartPolicy;
  if (policy === undefined) return [];
  const field = `${path}.restartPolicy`;
  if (role === 'ephemeralContainers')
    return [forbidden(field, 'cannot be set for an Ephemeral Container')];
  return optionalOneOf(policy, ['Always', 'Never', 'OnFailure'], field);
}

const NOT_EPHEMERAL = [
  'lifecycle',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'ports',
] as const;

function forbiddenForEphemeral(container: Container, path: string): FieldError[] {
  const out = NOT_EPHEMERAL.filter((part) => container[part] !== undefined).map((part) =>
    forbidden(`${path}.${part}`, 'cannot be set for an Ephemeral Container'),
  );
  const { limits, requests } = container.resources ?? {};
  if (limits ?? requests) {
    out.push(forbidden(`${path}.resources`, 'cannot be set for an Ephemeral Container'));
  }
  return out;
}

function validatePorts(container: Container, hostNetwork: boolean, path: string): FieldError[] {
  const out: FieldError[] = [];
  const ports = container.ports ?? [];
  const doubles = repeated(ports, (p) => p.name);
  for (const [index, port] of ports.entries()) {
    const at = `${path}.ports[${index}]`;
    if (port.name) out.push(...checked(port.name, portName, `${at}.name`));
    const double = doubles.get(index);
    if (double !== undefined) out.push(duplicate(`${at}.name`, double));
    if (!port.containerPort) out.push(required(`${at}.containerPort`));
    else
      out.push(
        ...within(port.containerPort, portNumber(port.containerPort), `${at}.containerPort`),
      );
    const { hostPort } = port;
    if (hostPort) {
      out.push(...within(hostPort, portNumber(hostPort), `${at}.hostPort`));
      if (hostNetwork && hostPort !== port.containerPort) {
        const detail = 'must match `containerPort` when `hostNetwork` is true';
        out.push(invalid(`${at}.hostPort`, hostPort, detail));
      }
    }
    out.push(...oneOf(port.protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`));
  }
  return out;
}

/** Two containers of one Pod cannot both have one port of the host. */
function hostPortConflicts(spec: PodSpec, path: string): FieldError[] {
  const out: FieldError[] = [];
  const taken = new Set<string>();
  for (const [index, container] of spec.containers.entries()) {
    for (const [i, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      const at = `${path}.containers[${index}].ports[${i}].hostPort`;
      if (taken.has(key)) out.push(duplicate(at, key));
      taken.add(key);
    }
  }
  return out;
}

function validateMounts(
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
): FieldError[] {
  const out: FieldError[] = [];
  const mounts = container.volumeMounts ?? [];
  const doubles = repeated(mounts, (m) => m.mountPath);
  for (const [index, mount] of mounts.entries()) {
    const at = `${path}.volumeMounts[${index}]`;
    out.push(...mustBeThere(mount.name, `${at}.name`));
    if (mount.name && !volumes.has(mount.name)) {
      out.push({
        type: 'FieldValueNotFound',
        field: `${at}.name`,
        message: `Not found: ${JSON.stringify(mount.name)}`,
      });
    }
    out.push(...mustBeThere(mount.mountPath, `${at}.mountPath`));
    if (doubles.has(index)) out.push(invalid(`${at}.mountPath`, mount.mountPath, 'must be unique'));
    out.push(...validateSubPath(mount.subPath, `${at}.subPath`));
    if (mount.subPathExpr) {
      out.push(...validateSubPath(mount.subPathExpr, `${at}.subPathExpr`));
      if (mount.subPath) {
        const detail = 'subPathExpr and subPath are mutually exclusive';
        out.push(invalid(`${at}.subPathExpr`, mount.subPathExpr, detail));
      }
    }
    out.push(...validatePropagation(mount.mountPropagation, container, `${at}.mountPropagation`));
  }
  return out;
}

function validateSubPath(subPath: string | undefined, field: string): FieldError[] {
  if (!subPath) return [];
  if (subPath.startsWith('/')) return [invalid(field, subPath, 'must be a relative path')];
  const up = subPath.split('/').includes('..');
  return up ? [invalid(field, subPath, "must not contain '..'")] : [];
}

function validatePropagation(
  mode: string | undefined,
  container: Container,
  field: string,
): FieldError[] {
  if (mode === undefined) return [];
  if (mode === 'Bidirectional' && !container.securityContext?.privileged) {
    return [
      forbidden(
        field,
        'Bidirectional mount propagation is available only to privileged containers',
      ),
    ];
  }
  return oneOf(mode, ['Bidirectional', 'HostToContainer', 'None'], field);
}
