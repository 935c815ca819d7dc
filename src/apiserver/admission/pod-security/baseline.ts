import {
  type AnyContainer,
  type Check,
  containersOf,
  named,
  namesWhere,
  type PodFacts,
  plural,
  quoted,
  violation,
} from './check.ts';

const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

const appArmor: Check = {
  since: 0,
  judge(pod) {
    const isBad = (profile: { type: string } | undefined): boolean =>
      profile !== undefined && !['RuntimeDefault', 'Localhost'].includes(profile.type);
    const details: string[] = [];
    const own = pod.spec.securityContext?.appArmorProfile;
    if (own && isBad(own)) {
      details.push(`pod must not set AppArmor profile type to ${JSON.stringify(own.type)}`);
    }
    const bad = namesWhere(pod, (c) => isBad(c.securityContext?.appArmorProfile));
    if (bad.length > 0) {
      details.push(`${named('container', bad)} must not set AppArmor profile type to "Unconfined"`);
    }
    for (const [key, value] of Object.entries(pod.annotations)) {
      const known = value === '' || value === 'runtime/default' || value.startsWith('localhost/');
      if (key.startsWith(APPARMOR_ANNOTATION) && !known) details.push(`${key}="${value}"`);
    }
    return violation(plural('forbidden AppArmor profile', details.length), details);
  },
};

const DEFAULT_CAPABILITIES = new Set([
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD'],
  ...['NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
]);

export const capabilities: Check = {
  since: 0,
  judge(pod) {
    const extra = new Set<string>();
    const bad = namesWhere(pod, ({ securityContext }) => {
      const added = securityContext?.capabilities?.add ?? [];
      const wrong = added.filter((name) => !DEFAULT_CAPABILITIES.has(name));
      for (const name of wrong) extra.add(name);
      return wrong.length > 0;
    });
    if (bad.length === 0) return undefined;
    const which = quoted([...extra].sort());
    const detail = `${named('container', bad)} must not include ${which} in securityContext.capabilities.add`;
    return { reason: 'non-default capabilities', detail };
  },
};

const hostNamespaces: Check = {
  since: 0,
  judge({ spec }) {
    const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field]);
    if (shared.length === 0) return undefined;
    return { reason: 'host namespaces', detail: shared.map((f) => `${f}=true`).join(', ') };
  },
};

export const hostPathVolumes: Check = {
  since: 0,
  judge({ spec }) {
    const names = (spec.volumes ?? []).filter((v) => v.hostPath).map((v) => v.name);
    if (names.length === 0) return undefined;
    return { reason: 'hostPath volumes', detail: named('volume', names) };
  },
};

const hostPorts: Check = {
  since: 0,
  judge(pod) {
    const ports = new Set<number>();
    const bad = namesWhere(pod, (container) => {
      const own = (container.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [hostPort] : []));
      for (const port of own) ports.add(port);
      return own.length > 0;
    });
    if (bad.length === 0) return undefined;
    const list = [...ports].sort((a, b) => a - b);
    const verb = bad.length === 1 ? 'uses' : 'use';
    const detail = `${named('container', bad)} ${verb} ${plural('hostPort', list.length)} ${list.join(', ')}`;
    return { reason: 'hostPort', detail };
  },
};

/** Probes of other machines would let a Pod look around as the kubelet. */
const hostProbes: Check = {
  since: 34,
  judge(pod) {
    const hosts = new Set<string>();
    const bad = namesWhere(pod, (container) => {
      const own = hostsOf(container);
      for (const host of own) hosts.add(host);
      return own.length > 0;
    });
    if (bad.length === 0) return undefined;
    const verb = bad.length === 1 ? 'uses' : 'use';
    const list = quoted([...hosts].sort());
    const detail = `${named('container', bad)} ${verb} probe or lifecycle ${plural('host', hosts.size)} ${list}`;
    return { reason: 'probe or lifecycle host', detail };
  },
};

function hostsOf(container: AnyContainer): string[] {
  const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container;
  const handlers = [livenessProbe, readinessProbe, startupProbe];
  const all = [...handlers, lifecycle?.postStart, lifecycle?.preStop];
  const hosts = all.flatMap((one) => [one?.httpGet?.host, one?.tcpSocket?.host]);
  return hosts.flatMap((host) => (host ? [host] : []));
}

const privileged: Check = {
  since: 0,
  judge(pod) {
    const bad = namesWhere(pod, (c) => c.securityContext?.privileged === true);
    if (bad.length === 0) return undefined;
    const detail = `${named('container', bad)} must not set securityContext.privileged=true`;
    return { reason: 'privileged', detail };
  },
};

const procMount: Check = {
  since: 0,
  judge(pod) {
    const kinds = new Set<string>();
    const bad = namesWhere(pod, ({ securityContext }) => {
      const mount = securityContext?.procMount ?? 'Default';
      if (mount !== 'Default') kinds.add(mount);
      return mount !== 'Default';
    });
    if (bad.length === 0) return undefined;
    const detail = `${named('container', bad)} must not set securityContext.procMount to ${quoted([...kinds].sort())}`;
    return { reason: 'procMount', detail };
  },
};

type SeLinux = NonNullable<NonNullable<AnyContainer['securityContext']>['seLinuxOptions']>;
const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t'];

const seLinuxOptions: Check = {
  since: 0,
  judge(pod, minor) {
    const allowed = [...SELINUX_TYPES, ...(minor >= 31 ? ['container_engine_t'] : [])];
    const wrong = new Set<string>();
    const isBad = (options: SeLinux | undefined) => {
      const { type = '', user, role } = options ?? {};
      const found = [
        ...(allowed.includes(type) ? [] : [`type ${JSON.stringify(type)}`]),
        ...(user ? ['user may not be set'] : []),
        ...(role ? ['role may not be set'] : []),
      ];
      for (const one of found) wrong.add(one);
      return found.length > 0;
    };
    const who = isBad(pod.spec.securityContext?.seLinuxOptions) ? ['pod'] : [];
    const bad = namesWhere(pod, (c) => isBad(c.securityContext?.seLinuxOptions));
    if (bad.length > 0) who.push(named('container', bad));
    if (who.length === 0) return undefined;
    const detail = `${who.join(' and ')} set forbidden securityContext.seLinuxOptions: ${[...wrong].join('; ')}`;
    return { reason: 'seLinuxOptions', detail };
  },
};

/** Sentences about seccomp profiles that are set to something that is not allowed. */
export function forbiddenSeccomp(pod: PodFacts): string[] {
  const isBad = (type: string | undefined) =>
    type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
  const types = new Set<string>();
  const details: string[] = [];
  const own = pod.spec.securityContext?.seccompProfile?.type;
  if (own !== undefined && isBad(own)) {
    details.push(`pod must not set securityContext.seccompProfile.type to ${JSON.stringify(own)}`);
  }
  const bad = namesWhere(pod, ({ securityContext }) => {
    const type = securityContext?.seccompProfile?.type;
    if (type !== undefined && isBad(type)) types.add(type);
    return isBad(type);
  });
  if (bad.length > 0) {
    details.push(
      `${named('container', bad)} must not set securityContext.seccompProfile.type to ${quoted([...types].sort())}`,
    );
  }
  return details;
}

export const seccomp: Check = {
  since: 19,
  judge: (pod) => violation('seccompProfile', forbiddenSeccomp(pod)),
};

/** Sysctls that stay inside of a Pod, and the minor version that let them in. */
const SAFE_SYSCTLS: Readonly<Record<string, number>> = {
  'kernel.shm_rmid_forced': 0,
  'net.ipv4.ip_local_port_range': 0,
  'net.ipv4.tcp_syncookies': 0,
  'net.ipv4.ping_group_range': 0,
  'net.ipv4.ip_unprivileged_port_start': 0,
  'net.ipv4.ip_local_reserved_ports': 27,
  'net.ipv4.tcp_keepalive_time': 29,
  'net.ipv4.tcp_fin_timeout': 29,
  'net.ipv4.tcp_keepalive_intvl': 29,
  'net.ipv4.tcp_keepalive_probes': 29,
  'net.ipv4.tcp_rmem': 32,
  'net.ipv4.tcp_wmem': 32,
};

const sysctls: Check = {
  since: 0,
  judge({ spec }, minor) {
    const bad = (spec.securityContext?.sysctls ?? [])
      .map(({ name }) => name)
      .filter((name) => (SAFE_SYSCTLS[name] ?? Number.POSITIVE_INFINITY) > minor);
    if (bad.length === 0) return undefined;
    return { reason: 'forbidden sysctls', detail: [...new Set(bad)].sort().join(', ') };
  },
};

const windowsHostProcess: Check = {
  since: 0,
  judge(pod) {
    const field = 'securityContext.windowsOptions.hostProcess=true';
    const own = pod.spec.securityContext?.windowsOptions?.hostProcess === true;
    const bad = containersOf(pod)
      .filter((c) => c.securityContext?.windowsOptions?.hostProcess === true)
      .map(({ name }) => name);
    return violation('hostProcess', [
      ...(own ? [`pod must not set ${field}`] : []),
      ...(bad.length > 0 ? [`${named('container', bad)} must not set ${field}`] : []),
    ]);
  },
};

/** In the order of upstream's names for them. */
export const BASELINE: readonly Check[] = [
  appArmor,
  capabilities,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  hostProbes,
  privileged,
  procMount,
  seLinuxOptions,
  seccomp,
  sysctls,
  windowsHostProcess,
];
