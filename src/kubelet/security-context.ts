import type { Container, Pod } from '../api/types.ts';
import { ContainerConfigError } from './environment.ts';
import { isHostNetwork, supplementalGroups } from './names.ts';
import type {
  ContainerSecurityContext,
  Image,
  NamespaceOption,
  SecurityProfile,
  SelinuxOption,
} from './runtime/runtime.ts';

// What a container must not see or change below /proc and /sys, unless procMount is Unmasked.
const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export function namespaceOptions(pod: Pod): NamespaceOption {
  const { hostPID, hostIPC, shareProcessNamespace } = pod.spec ?? {};
  return {
    network: isHostNetwork(pod) ? 'NODE' : 'POD',
    pid: hostPID ? 'NODE' : shareProcessNamespace ? 'POD' : 'CONTAINER',
    ipc: hostIPC ? 'NODE' : 'POD',
  };
}

type Profile = { type: string; localhostProfile?: string | undefined } | undefined;

/** Where profiles named by pods lie, below the kubelet's root directory. */
const SECCOMP_DIR = '/var/lib/kubelet/seccomp';

export function seccompProfile(
  profile: Profile,
  directory = SECCOMP_DIR,
): SecurityProfile | undefined {
  if (!profile) return undefined;
  if (profile.type === 'Localhost') {
    return { profileType: 'Localhost', localhostRef: `${directory}/${profile.localhostProfile}` };
  }
  return { profileType: profile.type === 'RuntimeDefault' ? 'RuntimeDefault' : 'Unconfined' };
}

function apparmorProfile(profile: Profile): SecurityProfile | undefined {
  if (!profile) return undefined;
  if (profile.type === 'Localhost') {
    return { profileType: 'Localhost', localhostRef: profile.localhostProfile ?? '' };
  }
  return { profileType: profile.type === 'RuntimeDefault' ? 'RuntimeDefault' : 'Unconfined' };
}

export function selinuxOptions(
  options: Partial<Record<keyof SelinuxOption, string | undefined>> | undefined,
): SelinuxOption | undefined {
  if (!options) return undefined;
  const { user = '', role = '', type = '', level = '' } = options;
  return { user, role, type, level };
}

/** The container's own security context over the pod's. */
export function containerSecurityContext(
  pod: Pod,
  container: Container,
  options: { seccompDefault: boolean; targetId?: string | undefined },
): ContainerSecurityContext {
  const ofPod = pod.spec?.securityContext ?? {};
  const own = container.securityContext ?? {};
  const privileged = own.privileged === true;
  const masked = !privileged && own.procMount !== 'Unmasked';
  return {
    capabilities: {
      addCapabilities: own.capabilities?.add ?? [],
      dropCapabilities: own.capabilities?.drop ?? [],
    },
    privileged,
    namespaceOptions: targetNamespaces(pod, options.targetId),
    ...profiles(ofPod, own, options.seccompDefault),
    ...runAs(own.runAsUser ?? ofPod.runAsUser, own.runAsGroup ?? ofPod.runAsGroup),
    readonlyRootfs: own.readOnlyRootFilesystem === true,
    supplementalGroups: supplementalGroups(pod),
    supplementalGroupsPolicy: ofPod.supplementalGroupsPolicy === 'Strict' ? 'Strict' : 'Merge',
    noNewPrivs: own.allowPrivilegeEscalation === false,
    maskedPaths: masked ? MASKED_PATHS : [],
    readonlyPaths: masked ? READONLY_PATHS : [],
  };
}

type PodContext = NonNullable<NonNullable<Pod['spec']>['securityContext']>;
type OwnContext = NonNullable<Container['securityContext']>;

/** Seccomp, AppArmor and SELinux: the container's word, else the pod's. */
function profiles(
  ofPod: PodContext,
  own: OwnContext,
  seccompDefault: boolean,
): Pick<ContainerSecurityContext, 'seccomp' | 'apparmor' | 'apparmorProfile' | 'selinuxOptions'> {
  const fallback = { type: seccompDefault ? 'RuntimeDefault' : 'Unconfined' };
  const seccomp = seccompProfile(own.seccompProfile ?? ofPod.seccompProfile ?? fallback);
  const apparmor = apparmorProfile(own.appArmorProfile ?? ofPod.appArmorProfile);
  const selinux = selinuxOptions(own.seLinuxOptions ?? ofPod.seLinuxOptions);
  return {
    ...(selinux ? { selinuxOptions: selinux } : {}),
    ...(seccomp ? { seccomp } : {}),
    ...(apparmor ? { apparmor, apparmorProfile: oldApparmorName(apparmor) } : {}),
  };
}

function runAs(
  user: number | undefined,
  group: number | undefined,
): Pick<ContainerSecurityContext, 'runAsUser' | 'runAsGroup'> {
  return {
    ...(user === undefined ? {} : { runAsUser: { value: user } }),
    ...(group === undefined ? {} : { runAsGroup: { value: group } }),
  };
}

function targetNamespaces(pod: Pod, targetId: string | undefined): NamespaceOption {
  const options = namespaceOptions(pod);
  return targetId === undefined ? options : { ...options, pid: 'TARGET', targetId };
}

function oldApparmorName({ profileType, localhostRef }: SecurityProfile): string {
  if (profileType === 'RuntimeDefault') return 'runtime/default';
  return profileType === 'Localhost' ? `localhost/${localhostRef}` : 'unconfined';
}

/** Enforces runAsNonRoot against the user that the spec or the image gives. */
export function checkNonRoot(pod: Pod, container: Container, image: Image): void {
  const ofPod = pod.spec?.securityContext ?? {};
  const own = container.securityContext ?? {};
  if (!(own.runAsNonRoot ?? ofPod.runAsNonRoot)) return;
  const where = `(pod: "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})", container: ${container.name})`;
  const user = own.runAsUser ?? ofPod.runAsUser;
  if (user !== undefined) {
    if (user !== 0) return;
    throw new ContainerConfigError(`container's runAsUser breaks non-root policy ${where}`);
  }
  if (image.uid?.value !== undefined && image.uid.value !== 0) return;
  if (image.username !== '') {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`,
    );
  }
  throw new ContainerConfigError(`container has runAsNonRoot and image will run as root ${where}`);
}
