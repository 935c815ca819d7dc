import { isIP, isIPv4 } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';
import { cidrContains } from '../util/ip.ts';
import { definer, namespace } from './define.ts';

const IP = 'net.IP';
const CIDR = 'net.CIDR';
const URL_TYPE = 'kubernetes.URL';

class CelIp {
  readonly text: string;
  readonly family: 4 | 6;

  constructor(text: string) {
    // Upstream takes neither zones nor IPv4 in the clothes of IPv6.
    const isBad = isIP(text) === 0 || text.includes('%') || /^::ffff:\d+\./i.test(text);
    if (isBad)
      throw new RangeError(
        `IP Address ${JSON.stringify(text)} parse error during conversion from string`,
      );
    this.family = isIPv4(text) ? 4 : 6;
    this.text = canonicalIp(text);
  }
}

class CelCidr {
  readonly ip: CelIp;
  readonly bits: number;

  constructor(text: string) {
    const [address = '', bits = '', ...rest] = text.split('/');
    const isBad = rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(bits) || isIP(address) === 0;
    const wrong = new RangeError(
      `network address parse error during conversion from string: ${text}`,
    );
    if (isBad) throw wrong;
    this.ip = new CelIp(address);
    this.bits = Number(bits);
    if (this.bits > (this.ip.family === 4 ? 32 : 128)) throw wrong;
  }

  contains(ip: CelIp): boolean {
    return cidrContains(`${this.ip.text}/${this.bits}`, ip.text);
  }
}

/** Addresses, networks and URLs (apiserver cel/library ip.go, cidr.go, urls.go). */
export function addNetwork(environment: Environment): void {
  environment.registerType(IP, CelIp);
  environment.registerType(CIDR, CelCidr);
  addIps(environment);
  addCidrs(environment);
  addUrls(environment);
}

function addIps(environment: Environment): void {
  const define = definer(environment);
  define('isIP(string): bool', (text: string) => parses(CelIp, text));
  define(`ip(string): ${IP}`, (text: string) => new CelIp(text));
  define(`string(${IP}): string`, ({ text }: CelIp) => text);
  define(
    `${namespace(environment, 'ip')}.isCanonical(string): bool`,
    (_: unknown, text: string) => {
      return new CelIp(text).text === text;
    },
  );
  define(`${IP}.family(): int`, ({ family }: CelIp) => BigInt(family));
  const within = (name: string, ...networks: string[]) =>
    define(`${IP}.${name}(): bool`, ({ text }: CelIp) =>
      networks.some((network) => cidrContains(network, text)),
    );
  within('isUnspecified', '0.0.0.0/32', '::/128');
  within('isLoopback', '127.0.0.0/8', '::1/128');
  within('isLinkLocalMulticast', '224.0.0.0/24', 'ff02::/16');
  within('isLinkLocalUnicast', '169.254.0.0/16', 'fe80::/10');
  const elsewhere = ['0.0.0.0/32', '::/128', '127.0.0.0/8', '::1/128', '224.0.0.0/4', 'ff00::/8'];
  elsewhere.push('169.254.0.0/16', 'fe80::/10', '255.255.255.255/32');
  define(`${IP}.isGlobalUnicast(): bool`, ({ text }: CelIp) =>
    elsewhere.every((network) => !cidrContains(network, text)),
  );
}

function addCidrs(environment: Environment): void {
  const define = definer(environment);
  define('isCIDR(string): bool', (text: string) => parses(CelCidr, text));
  define(`cidr(string): ${CIDR}`, (text: string) => new CelCidr(text));
  define(`string(${CIDR}): string`, ({ ip, bits }: CelCidr) => `${ip.text}/${bits}`);
  define(`${CIDR}.ip(): ${IP}`, ({ ip }: CelCidr) => ip);
  define(`${CIDR}.prefixLength(): int`, ({ bits }: CelCidr) => BigInt(bits));
  define(
    `${CIDR}.masked(): ${CIDR}`,
    ({ ip, bits }: CelCidr) => new CelCidr(`${masked(ip, bits)}/${bits}`),
  );
  define(`${CIDR}.containsIP(${IP}): bool`, (cidr: CelCidr, ip: CelIp) => cidr.contains(ip));
  define(`${CIDR}.containsIP(string): bool`, (cidr: CelCidr, ip: string) =>
    cidr.contains(new CelIp(ip)),
  );
  const covers = (cidr: CelCidr, other: CelCidr) =>
    other.bits >= cidr.bits && cidr.contains(other.ip);
  define(`${CIDR}.containsCIDR(${CIDR}): bool`, covers);
  define(`${CIDR}.containsCIDR(string): bool`, (cidr: CelCidr, other: string) =>
    covers(cidr, new CelCidr(other)),
  );
}

function addUrls(environment: Environment): void {
  environment.registerType(URL_TYPE, URL);
  const define = definer(environment);
  define('isURL(string): bool', (text: string) => parseUrl(text) !== undefined);
  define(`url(string): ${URL_TYPE}`, (text: string) => {
    const url = parseUrl(text);
    if (!url) throw new RangeError(`URL parse error during conversion from string: ${text}`);
    return url;
  });
  define(`${URL_TYPE}.getScheme(): string`, ({ protocol }: URL) =>
    protocol === NO_SCHEME ? '' : protocol.slice(0, -1),
  );
  define(`${URL_TYPE}.getHost(): string`, ({ protocol, host }: URL) =>
    protocol === NO_SCHEME ? '' : host,
  );
  define(`${URL_TYPE}.getHostname(): string`, ({ protocol, hostname }: URL) =>
    protocol === NO_SCHEME ? '' : hostname.replace(/^\[|\]$/g, ''),
  );
  define(`${URL_TYPE}.getPort(): string`, ({ port }: URL) => port);
  define(`${URL_TYPE}.getEscapedPath(): string`, ({ pathname }: URL) => pathname);
  define(`${URL_TYPE}.getQuery(): map<string, list<string>>`, ({ searchParams }: URL) => {
    const found = new Map<string, string[]>();
    for (const [key, value] of searchParams) found.set(key, [...(found.get(key) ?? []), value]);
    return found;
  });
}

const NO_SCHEME = 'path:';

/** What Go's url.ParseRequestURI takes: an absolute URL or an absolute path. */
function parseUrl(text: string): URL | undefined {
  if (text.startsWith('/')) return URL.parse(`${NO_SCHEME}//nowhere${text}`) ?? undefined;
  return URL.parse(text) ?? undefined;
}

function parses(type: new (text: string) => unknown, text: string): boolean {
  try {
    new type(text);
    return true;
  } catch {
    return false;
  }
}

/** RFC 5952. */
function canonicalIp(text: string): string {
  return isIPv4(text) ? text : new URL(`http://[${text}]`).hostname.slice(1, -1);
}

function masked({ text, family }: CelIp, bits: number): string {
  const groups = family === 4 ? text.split('.').map(Number) : hexGroups(text);
  const width = family === 4 ? 8 : 16;
  const kept = groups.map((group, i) => {
    const keep = Math.max(0, Math.min(width, bits - i * width));
    return group & (((1 << keep) - 1) << (width - keep));
  });
  return family === 4 ? kept.join('.') : canonicalIp(kept.map((g) => g.toString(16)).join(':'));
}

function hexGroups(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const parse = (part: string) => (part === '' ? [] : part.split(':').map((g) => parseInt(g, 16)));
  const [front, back] = [parse(head), tail === undefined ? [] : parse(tail)];
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}
