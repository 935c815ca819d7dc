import { type FieldError, forbidden, required } from '../../../api/field-errors.ts';
import type { PodSpec } from '../../../api/types.ts';
import { isObject } from '../../../util/json.ts';
import { oneOf } from '../validation.ts';

type Context = PodSpec['securityContext'] | PodSpec['containers'][0]['securityContext'];

/** What belongs to Linux alone: nobody can give it to a Pod of Windows. */
const LINUX_POD = ['hostPID', 'hostIPC'] as const;
const LINUX_POD_CONTEXT = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'seLinuxChangePolicy',
] as const;
const LINUX_CONTAINER_CONTEXT = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
] as const;

/** What the operating system that a Pod declares says about its fields (core validation validateLinux, validateWindows). */
export function validateOs(spec: PodSpec, path: string): FieldError[] {
  if (!spec.os) return [];
  const { name } = spec.os;
  if (!name) return [required(`${path}.os.name`, 'cannot be empty')];
  const wrong = oneOf(name, ['linux', 'windows'], `${path}.os`);
  if (wrong.length > 0) return wrong;
  return name === 'linux' ? forbidWindows(spec, path) : forbidLinux(spec, path);
}

function forbidWindows(spec: PodSpec, path: string): FieldError[] {
  return contextsOf(spec, path).flatMap(({ context, at }) =>
    given(context, ['windowsOptions'], at, 'windows options cannot be set for a linux pod'),
  );
}

function forbidLinux(spec: PodSpec, path: string): FieldError[] {
  const detail = 'cannot be set for a windows pod';
  const [pod, ...containers] = contextsOf(spec, path);
  const parts = LINUX_POD.filter((part) => spec[part]).map((part) =>
    forbidden(`${path}.${part}`, detail),
  );
  const pointers = given(spec, ['hostUsers', 'shareProcessNamespace'], path, detail);
  return [
    ...parts,
    ...pointers,
    ...given(pod?.context, LINUX_POD_CONTEXT, pod?.at ?? path, detail),
    ...containers.flatMap(({ context, at }) => given(context, LINUX_CONTAINER_CONTEXT, at, detail)),
  ];
}

function given(of: unknown, fields: readonly string[], at: string, detail: string): FieldError[] {
  if (!isObject(of)) return [];
  return fields
    .filter((field) => of[field] !== undefined)
    .map((field) => forbidden(`${at}.${field}`, detail));
}

/** The security contexts of the Pod and of its containers, with where they are. */
export function contextsOf(spec: PodSpec, path: string): { context: Context; at: string }[] {
  const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const;
  return [
    { context: spec.securityContext, at: `${path}.securityContext` },
    ...lists.flatMap((list) =>
      (spec[list] ?? []).map(({ securityContext }, i) => ({
        context: securityContext,
        at: `${path}.${list}[${i}].securityContext`,
      })),
    ),
  ];
}
