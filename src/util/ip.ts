import { BlockList, isIPv4, isIPv6 } from 'node:net';

export type Family = 4 | 6;

/** The family of a textual address or CIDR; undefined when it is neither. */
export function familyOf(addressOrCidr: string): Family | undefined {
  const slash = addressOrCidr.indexOf('/');
  const address = slash < 0 ? addressOrCidr : addressOrCidr.slice(0, slash);
  if (isIPv4(address)) return 4;
  return isIPv6(address) ? 6 : undefined;
}

/** True when `address` lies in `cidr`; false for a malformed CIDR or one of the other family. */
export function cidrContains(cidr: string, address: string): boolean {
  const [network = '', bits = ''] = cidr.split('/');
  const family = familyOf(network);
  if (family === undefined || family !== familyOf(address) || !/^\d{1,3}$/.test(bits)) return false;
  const prefix = Number(bits);
  if (prefix > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, prefix, type);
  return list.check(address, type);
}

/** `IP:PORT`, with IPv6 in brackets. */
export function joinHostPort(ip: string, port: number): string {
  return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}
