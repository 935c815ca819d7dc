import { InvalidArgumentError, Option } from 'commander';

/**
 * A flag that manifests for upstream's component carry, and of which k8ts knows one value: what it does anyway. Any other
 * is refused, since it would be ignored.
 */
export function fixedFlag(flag: string, value: string, description: string): Option {
  const option = new Option(`${flag} <value>`, `${description}: ${value}, and nothing else`);
  return option.argParser((given) => {
    if (given === value) return given;
    throw new InvalidArgumentError(`k8ts knows only ${value} here.`);
  });
}

/** Upstream's flags of the API server that kubeadm sets to what k8ts does anyway. */
export const API_SERVER_FIXED: readonly Option[] = [
  fixedFlag('--allow-privileged', 'true', 'whether containers may be privileged'),
  fixedFlag(
    '--kubelet-preferred-address-types',
    'InternalIP,ExternalIP,Hostname',
    'how kubelets are reached',
  ),
  fixedFlag('--requestheader-username-headers', 'X-Remote-User', 'how front proxies name users'),
  fixedFlag('--requestheader-group-headers', 'X-Remote-Group', 'how they name their groups'),
  fixedFlag('--requestheader-extra-headers-prefix', 'X-Remote-Extra-', 'how they add to that'),
];
