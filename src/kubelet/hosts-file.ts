import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
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

interface HostFacts {
  readonly podIps: readonly string[];
  readonly hostname: string;
  readonly domain: string;
}

/** Writes the pod's /etc/hosts, for any user to read. Answers where it is. */
export function writeHosts(path: string, pod: Pod, facts: HostFacts): string {
  writeFileSync(path, hostsFile(pod, facts));
  chmodSync(path, 0o644);
  return path;
}

function hostsFile(pod: Pod, facts: HostFacts): string {
  const aliases = aliasLines(pod);
  // Pods on the node's network get the node's own file.
  if (isHostNetwork(pod)) return HOST_NETWORK_HEADER + readFileSync('/etc/hosts', 'utf8') + aliases;
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
