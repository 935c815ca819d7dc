import type { Paths } from './paths.ts';

/** The bridge that joins the Pods of a node. */
export const BRIDGE = 'cni0';
const CNI_NETWORK = 'k8ts';
/** containerd takes the first file of its directory by name. */
export const CNI_FILE = '10-k8ts.conflist';

/**
 * The Pod network of one node: a bridge with an address per Pod out of `podCidr`, and host ports.
 * `hairpinMode` lets a Pod reach itself through its Service. Masquerading is left to one rule for the whole
 * node (network.ts), which saves several iptables runs per Pod.
 */
export function cniConflist(paths: Paths, podCidr: string, mtu?: number): string {
  const conflist = {
    cniVersion: '1.0.0',
    name: CNI_NETWORK,
    plugins: [
      {
        type: 'bridge',
        bridge: BRIDGE,
        isDefaultGateway: true,
        hairpinMode: true,
        ipMasq: false,
        ...(mtu === undefined ? {} : { mtu }),
        ipam: {
          type: 'host-local',
          dataDir: paths.cni.data,
          ranges: [[{ subnet: podCidr }]],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
  return `${JSON.stringify(conflist, undefined, 2)}\n`;
}
