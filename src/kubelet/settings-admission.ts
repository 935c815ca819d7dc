import type { Pod } from '../api/types.ts';
import { allContainersOf, isHostNetwork } from './names.ts';
import type { Failure } from './pod-state.ts';

/** What of a pod's settings this node can honour. */
export interface NodeAbilities {
  /** Patterns of --allowed-unsafe-sysctls: names, perhaps with a `*` at the end. */
  allowedSysctls: readonly string[];
  apparmor: boolean;
  /** The runtime applies supplementalGroupsPolicy: Strict. */
  strictGroups: boolean;
}

// Sysctls that belong to the pod alone and cannot hurt others (kubernetes.io, "Safe and unsafe sysctls").
const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
];

/** Why the pod's settings keep it from running on this node; undefined when nothing does. */
export function settingsRefusal(pod: Pod, node: NodeAbilities): Failure | undefined {
  return (
    osRefusal(pod) ??
    sysctlRefusal(pod, node.allowedSysctls) ??
    apparmorRefusal(pod, node.apparmor) ??
    groupsRefusal(pod, node.strictGroups)
  );
}

function osRefusal(pod: Pod): Failure | undefined {
  const os = pod.spec?.os?.name;
  if (os === undefined || os === 'linux') return undefined;
  return {
    reason: 'PodOSNotSupported',
    message: "Failed to admit pod as the OS field doesn't match node OS",
  };
}

function sysctlRefusal(pod: Pod, allowed: readonly string[]): Failure | undefined {
  const reason = 'SysctlForbidden';
  for (const { name } of pod.spec?.securityContext?.sysctls ?? []) {
    const dotted = sysctlName(name);
    if (![...SAFE_SYSCTLS, ...allowed].some((pattern) => patternMatches(pattern, dotted))) {
      return { reason, message: `forbidden sysctl: "${dotted}" not allowlisted` };
    }
    const shared = sharedNamespaceOf(pod, dotted);
    if (shared)
      return { reason, message: `forbidden sysctl: "${dotted}" not allowed with ${shared}` };
  }
  return undefined;
}

/** A sysctl of a namespace that the pod shares with the node would change the node. */
function sharedNamespaceOf(pod: Pod, name: string): string | undefined {
  if (name.startsWith('net.') && isHostNetwork(pod)) return 'host net enabled';
  const ofIpc = name.startsWith('kernel.') || name.startsWith('fs.mqueue.');
  return ofIpc && pod.spec?.hostIPC ? 'host ipc enabled' : undefined;
}

function patternMatches(pattern: string, name: string): boolean {
  const own = sysctlName(pattern);
  return own.endsWith('*') ? name.startsWith(own.slice(0, -1)) : own === name;
}

/** With dots between the parts, however it is written: `kernel/shm_rmid_forced` (sysctl(8)). */
export function sysctlName(name: string): string {
  const separator = /[./]/.exec(name)?.[0];
  if (separator !== '/') return name;
  return name.replace(/[./]/g, (c) => (c === '/' ? '.' : '/'));
}

function apparmorRefusal(pod: Pod, enabled: boolean): Failure | undefined {
  if (enabled) return undefined;
  const profiles = [
    pod.spec?.securityContext?.appArmorProfile,
    ...allContainersOf(pod).map((c) => c.securityContext?.appArmorProfile),
  ];
  if (profiles.every((p) => p === undefined || p.type === 'Unconfined')) return undefined;
  return {
    reason: 'AppArmor',
    message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host',
  };
}

function groupsRefusal(pod: Pod, supported: boolean): Failure | undefined {
  if (supported || pod.spec?.securityContext?.supplementalGroupsPolicy !== 'Strict') {
    return undefined;
  }
  return {
    reason: 'SupplementalGroupsPolicyNotSupported',
    message: 'SupplementalGroupsPolicy=Strict is not supported in this node',
  };
}
