import type { Pod } from '../api/types.ts';
import type { DnsConfig } from './dns.ts';
import {
  allContainersOf,
  CONFIG_SEEN_ANNOTATION,
  CONFIG_SOURCE_ANNOTATION,
  gracePeriodOf,
  isHostNetwork,
  POD_GRACE_ANNOTATION,
  POD_NAME_LABEL,
  POD_NAMESPACE_LABEL,
  POD_UID_LABEL,
  supplementalGroups,
} from './names.ts';
import { sandboxResources } from './resources.ts';
import type { PodSandboxConfig, UserNamespace } from './runtime/runtime.ts';
import { namespaceOptions, seccompProfile, selinuxOptions } from './security-context.ts';
import { sysctlName } from './settings-admission.ts';

const MAX_HOSTNAME = 63;
const MAX_FQDN = 64;

export interface SandboxFacts {
  attempt: number;
  cgroupParent: string;
  /** Absent: the pod has the node's users. */
  userns?: UserNamespace | undefined;
  logDirectory: string;
  dns: DnsConfig;
  clusterDomain: string;
}

/** The sandbox that a pod asks for. */
export function sandboxConfig(pod: Pod, facts: SandboxFacts): PodSandboxConfig {
  const { name, namespace, uid, labels = {}, annotations = {} } = pod.metadata;
  const { hostname } = podHostname(pod, facts.clusterDomain);
  const context = pod.spec?.securityContext ?? {};
  const { runAsUser, runAsGroup } = context;
  const seccomp = seccompProfile(context.seccompProfile);
  const selinux = selinuxOptions(context.seLinuxOptions);
  return {
    metadata: { name, namespace, uid, attempt: facts.attempt },
    // A pod on the node's network has the node's name.
    hostname: isHostNetwork(pod) && pod.spec?.hostnameOverride === undefined ? '' : hostname,
    logDirectory: facts.logDirectory,
    dnsConfig: facts.dns,
    portMappings: portMappings(pod),
    labels: {
      ...labels,
      [POD_NAME_LABEL]: name,
      [POD_NAMESPACE_LABEL]: namespace,
      [POD_UID_LABEL]: uid,
    },
    annotations: {
      [CONFIG_SEEN_ANNOTATION]: pod.metadata.creationTimestamp,
      [CONFIG_SOURCE_ANNOTATION]: 'api',
      ...annotations,
      [POD_GRACE_ANNOTATION]: String(gracePeriodOf(pod)),
    },
    linux: {
      cgroupParent: facts.cgroupParent,
      securityContext: {
        namespaceOptions: {
          ...namespaceOptions(pod),
          ...(facts.userns ? { usernsOptions: facts.userns } : {}),
        },
        ...(selinux ? { selinuxOptions: selinux } : {}),
        ...(runAsUser === undefined ? {} : { runAsUser: { value: runAsUser } }),
        ...(runAsGroup === undefined ? {} : { runAsGroup: { value: runAsGroup } }),
        readonlyRootfs: false,
        supplementalGroups: supplementalGroups(pod),
        supplementalGroupsPolicy:
          context.supplementalGroupsPolicy === 'Strict' ? 'Strict' : 'Merge',
        // The sandbox must allow what any of its containers is allowed.
        privileged: allContainersOf(pod).some((c) => c.securityContext?.privileged === true),
        seccomp: seccomp ?? { profileType: 'RuntimeDefault' },
      },
      ...sandboxResources(pod),
      sysctls: Object.fromEntries(
        (context.sysctls ?? []).map((s) => [sysctlName(s.name), s.value]),
      ),
    },
  };
}

function portMappings(pod: Pod): PodSandboxConfig['portMappings'] {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return containers
    .flatMap((c) => c.ports ?? [])
    .map((port) => ({
      protocol: port.protocol === 'UDP' || port.protocol === 'SCTP' ? port.protocol : 'TCP',
      containerPort: port.containerPort,
      hostPort: port.hostPort ?? 0,
      hostIp: port.hostIP ?? '',
    }));
}

/** The pod's host name and domain; the domain is empty without a subdomain. */
export function podHostname(pod: Pod, clusterDomain: string): { hostname: string; domain: string } {
  const { hostname, subdomain, setHostnameAsFQDN, hostnameOverride } = pod.spec ?? {};
  if (hostnameOverride !== undefined) return { hostname: hostnameOverride, domain: '' };
  const own = hostname || pod.metadata.name.slice(0, MAX_HOSTNAME).replace(/[-.]+$/, '');
  if (!subdomain) return { hostname: own, domain: '' };
  const domain = `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}`;
  const full = `${own}.${domain}`;
  if (!setHostnameAsFQDN) return { hostname: own, domain };
  if (full.length > MAX_FQDN) {
    throw new Error(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${full} is too long (${MAX_FQDN} characters is the max, ${full.length} characters requested)`,
    );
  }
  return { hostname: full, domain };
}
