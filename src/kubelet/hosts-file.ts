import type { Pod } from '../api/types.ts';
import { isHostNetwork } from './names.ts';

const HEADER = '# Kubernetes-managed hosts file.\n';
const HOST_NETWORK_HEADER = '# Kubernetes-managed hosts file (host network).\n';

const LOCAL_ENTRIES = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'fe00::0\tip6-mcastprefix',
  'fe00::1\tip6-allnodes',
  'fe00::2\tip6-allrouters',
];

/** The pod's /etc/hosts. `nodeHosts` is the node's own file, which pods on its network get. */
export function hostsFile(
  pod: Pod,
  facts: { podIps: readonly string[]; hostname: string; domain: string; nodeHosts: string },
): string {
  const aliases = aliasLines(pod);
  if (isHostNetwork(pod)) return HOST_NETWORK_HEADER + facts.nodeHosts + aliases;
  const names =
    facts.domain === '' ? facts.hostname : `${facts.hostname}.${facts.domain}\t${facts.hostname}`;
  const own = facts.podIps.map((ip) => `${ip}\t${names}`);
  return `${HEADER}${[...LOCAL_ENTRIES, ...own].join('\n')}\n${aliases}`;
}

function aliasLines(pod: Pod): string {
  const aliases = pod.spec?.hostAliases ?? [];
  if (aliases.length === 0) return '';
  const lines = aliases.map(({ ip, hostnames }) => [ip, ...(hostnames ?? [])].join('\t'));
  return `\n# Entries added by HostAliases.\n${lines.join('\n')}\n`;
}
