import { type FieldError, invalid, required } from '../../../api/field-errors.ts';
import { inRange } from '../../../api/names.ts';
import type { Container, PodSpec } from '../../../api/types.ts';
import { optionalOneOf, within } from '../validation.ts';

type ContainerContext = NonNullable<Container['securityContext']>;
type PodContext = NonNullable<PodSpec['securityContext']>;

const MAX_ID = 0xffff_ffff;

export function validateSecurityContext(
  context: ContainerContext | undefined,
  path: string,
): FieldError[] {
  if (!context) return [];
  const out = validateIds(context, path);
  const { privileged, allowPrivilegeEscalation, capabilities, procMount } = context;
  if (allowPrivilegeEscalation === false) {
    if (privileged) {
      out.push(
        invalid(
          path,
          context,
          'cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
        ),
      );
    }
    if (capabilities?.add?.includes('CAP_SYS_ADMIN')) {
      const detail =
        'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN';
      out.push(invalid(path, context, detail));
    }
  }
  if (procMount)
    out.push(...optionalOneOf(procMount, ['Default', 'Unmasked'], `${path}.procMount`));
  return [...out, ...validateProfiles(context, path)];
}

export function validatePodSecurityContext(
  context: PodContext | undefined,
  path: string,
): FieldError[] {
  if (!context) return [];
  const out = validateIds(context, path);
  for (const [index, group] of (context.supplementalGroups ?? []).entries()) {
    out.push(...validateId(group, `${path}.supplementalGroups[${index}]`));
  }
  if (context.fsGroup !== undefined) out.push(...validateId(context.fsGroup, `${path}.fsGroup`));
  const policy = context.fsGroupChangePolicy;
  out.push(...optionalOneOf(policy, ['Always', 'OnRootMismatch'], `${path}.fsGroupChangePolicy`));
  for (const [index, { name }] of (context.sysctls ?? []).entries()) {
    const at = `${path}.sysctls[${index}].name`;
    if (!name) out.push(required(at));
    else if (name.length > 253 || !SYSCTL.test(name)) {
      out.push(
        invalid(at, name, `must have at most 253 characters and match regex ${SYSCTL.source}`),
      );
    }
  }
  return [...out, ...validateProfiles(context, path)];
}

const SYSCTL = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

function validateIds(
  context: { runAsUser?: number | undefined; runAsGroup?: number | undefined },
  path: string,
): FieldError[] {
  const out: FieldError[] = [];
  for (const part of ['runAsUser', 'runAsGroup'] as const) {
    const id = context[part];
    if (id !== undefined) out.push(...validateId(id, `${path}.${part}`));
  }
  return out;
}

function validateId(id: number, field: string): FieldError[] {
  return within(id, inRange(id, 0, MAX_ID), field);
}

const PROFILE_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined'];

/** seccomp and AppArmor profiles: a local one has a name, the others have none. */
function validateProfiles(
  context: Pick<ContainerContext, 'seccompProfile' | 'appArmorProfile'>,
  path: string,
): FieldError[] {
  const out: FieldError[] = [];
  for (const part of ['seccompProfile', 'appArmorProfile'] as const) {
    const profile = context[part];
    if (!profile) continue;
    const at = `${path}.${part}`;
    if (profile.type === 'Localhost' && !profile.localhostProfile) {
      const prefix = part === 'seccompProfile' ? 'seccomp' : 'AppArmor';
      const detail = `must be set when ${prefix} type is Localhost`;
      out.push(required(`${at}.localhostProfile`, detail));
    } else if (profile.type !== 'Localhost' && profile.localhostProfile !== undefined) {
      const prefix = part === 'seccompProfile' ? 'seccomp' : 'AppArmor';
      const detail = `can only be set when ${prefix} type is Localhost`;
      out.push(invalid(`${at}.localhostProfile`, profile.localhostProfile, detail));
    }
    out.push(...optionalOneOf(profile.type, PROFILE_TYPES, `${at}.type`));
  }
  return out;
}
