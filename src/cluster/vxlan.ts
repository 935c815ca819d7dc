import { run } from '../host/exec.ts';
import { deviceOf, mtuOf } from '../host/links.ts';

/** A route to the Pods of another node. */
export interface PodRoute {
  readonly cidr: string;
  readonly via: string;
}

/** The device whose packets go to other nodes inside of UDP. */
export const VXLAN_DEVICE = 'k8ts-vxlan';
// Flannel uses 1: both may be on one machine while one takes the other's place.
const VXLAN_ID = 4096;
const PORT = 8472;
/** What the outer headers take: IP, UDP, VXLAN and the inner Ethernet header. */
const OVERHEAD = 50;

/** How long a packet of Pods may be, so that nothing on the way to other nodes has to cut it. */
export async function podMtu(network: string, nodeIp: string): Promise<number | undefined> {
  const device = deviceOf(nodeIp);
  if (device === undefined) return undefined;
  const mtu = await mtuOf(device);
  return network === 'vxlan' ? mtu - OVERHEAD : mtu;
}

/** Makes the device, unless it is there for this address. */
export async function ensureVxlan(nodeIp: string, signal?: AbortSignal): Promise<void> {
  const device = deviceOf(nodeIp);
  if (device === undefined) throw new Error(`No device of this machine has the address ${nodeIp}`);
  const options = { acceptExitCodes: [0, 1] };
  const { stdout } = await run('ip', ['-d', 'link', 'show', VXLAN_DEVICE], options, signal);
  const isOurs = stdout.includes(` local ${nodeIp} `) && stdout.includes(` id ${VXLAN_ID} `);
  const mtu = (await mtuOf(device)) - OVERHEAD;
  const make = `link add ${VXLAN_DEVICE} address ${hardwareAddress(nodeIp)} type vxlan id ${VXLAN_ID} local ${nodeIp} dev ${device} dstport ${PORT} nolearning`;
  const lines = [
    ...(stdout !== '' && !isOurs ? [`link delete ${VXLAN_DEVICE}`] : []),
    ...(isOurs ? [] : [make]),
    `link set ${VXLAN_DEVICE} mtu ${mtu} up`,
  ];
  await run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` }, signal);
}

/** How the way to another node's Pods is told to the kernel: commands of ip(8), and of bridge(8). Pure. */
export function tunnelCommands({ cidr, via }: PodRoute): { ip: string[]; bridge: string[] } {
  const [gateway = ''] = cidr.split('/');
  const address = hardwareAddress(via);
  return {
    ip: [`neigh replace ${gateway} lladdr ${address} dev ${VXLAN_DEVICE} nud permanent`],
    bridge: [`fdb replace ${address} dev ${VXLAN_DEVICE} dst ${via}`],
  };
}

/** Follows from the node's address, so that no node need tell the others. Pure. */
export function hardwareAddress(nodeIp: string): string {
  const octets = nodeIp.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'));
  // Locally administered (IEEE 802), and a byte that tells these from others'.
  return ['02', '8a', ...octets].join(':');
}

export async function removeVxlan(): Promise<void> {
  await run('ip', ['link', 'delete', VXLAN_DEVICE], { acceptExitCodes: [0, 1] });
}
