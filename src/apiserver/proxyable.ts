import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { badRequest } from '../api/errors.ts';

/** What each machine means for itself: to go there for others would lend them our place in the network. */
const OWN = new BlockList();
OWN.addSubnet('127.0.0.0', 8, 'ipv4');
OWN.addSubnet('169.254.0.0', 16, 'ipv4');
OWN.addSubnet('224.0.0.0', 24, 'ipv4');
OWN.addAddress('0.0.0.0', 'ipv4');
OWN.addAddress('::1', 'ipv6');
OWN.addAddress('::', 'ipv6');
OWN.addSubnet('fe80::', 10, 'ipv6');
OWN.addSubnet('ff02::', 16, 'ipv6');

/**
 * The URL with an address in place of its host name, which is thus asked for only once (CVE-2020-8562). Refuses
 * addresses that are loopback, link-local or nobody's (CVE-2022-3294).
 */
export async function proxyable(url: URL): Promise<URL> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const address = isIP(host) === 0 ? await resolved(host) : host;
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (OWN.check(address, family)) throw badRequest('address not allowed');
  const safe = new URL(url);
  safe.hostname = family === 'ipv6' ? `[${address}]` : address;
  return safe;
}

async function resolved(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (err) {
    throw badRequest(`address not allowed: ${host} has no address (${(err as Error).message})`);
  }
}
