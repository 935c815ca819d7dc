import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { run } from './exec.ts';

/** The network device that carries the default IPv4 route, if there is such a route. */
export function defaultRouteDevice(): string | undefined {
  return parseDefaultRoute(readFileSync('/proc/net/route', 'utf8'));
}

/** Reads /proc/net/route: the device of the default route with the lowest metric. */
export function parseDefaultRoute(table: string): string | undefined {
  const UP = 0x1;
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      (f) => f[1] === '00000000' && f[7] === '00000000' && Number.parseInt(f[3] ?? '0', 16) & UP,
    )
    .sort((a, b) => Number(a[6]) - Number(b[6]))[0]?.[0];
}

/** The first global IPv4 address of a device. */
export function addressOf(device: string): string | undefined {
  return networkInterfaces()[device]?.find(({ family, internal }) => family === 'IPv4' && !internal)
    ?.address;
}

/** The device that has an address, if one of this machine's does. */
export function deviceOf(address: string): string | undefined {
  const all = Object.entries(networkInterfaces());
  return all.find(([, addresses]) => addresses?.some((one) => one.address === address))?.[0];
}

/** The longest packet of a device. Not read from /sys, which may show another network namespace's devices. */
export async function mtuOf(device: string): Promise<number> {
  const { stdout } = await run('ip', ['-json', 'link', 'show', 'dev', device]);
  const [link] = JSON.parse(stdout) as { mtu: number }[];
  return link?.mtu ?? 1500;
}
