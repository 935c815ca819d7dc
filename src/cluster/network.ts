import { existsSync, writeFileSync } from 'node:fs';
import { run } from '../host/exec.ts';

/** Chains of this file's rules; nobody else's are touched. */
const MASQUERADE_CHAIN = 'K8TS-POSTROUTING';
const FORWARD_CHAIN = 'K8TS-FORWARD';

/** A jump into one of our chains, from a chain of the kernel's. */
const JUMPS = [
  { table: 'nat', from: 'POSTROUTING', to: MASQUERADE_CHAIN },
  { table: 'filter', from: 'FORWARD', to: FORWARD_CHAIN },
] as const;

const SYSCTLS = {
  '/proc/sys/net/ipv4/ip_forward': '1',
  // Lets the kernel see packets between two Pods of one bridge, which may have come by a Service address.
  '/proc/sys/net/bridge/bridge-nf-call-iptables': '1',
} as const;

/**
 * The rules that Pods need besides their CNI network: what leaves these ranges bears the node's address, and may be
 * forwarded even where Docker has set the policy to DROP. Pure.
 * `ranges`: the Pods', and that of the extra nodes on this machine if there are any.
 */
export function podNetworkRules(ranges: readonly string[]): string {
  const pairs = ranges.flatMap((from) => ranges.map((to) => ({ from, to })));
  const comment = (text: string) => `-m comment --comment "k8ts: ${text}"`;
  return [
    '*nat',
    `:${MASQUERADE_CHAIN} - [0:0]`,
    ...pairs.map(({ from, to }) => `-A ${MASQUERADE_CHAIN} -s ${from} -d ${to} -j RETURN`),
    ...ranges.map(
      (from) =>
        `-A ${MASQUERADE_CHAIN} -s ${from} ! -d 224.0.0.0/4 ${comment('to the outside')} -j MASQUERADE`,
    ),
    'COMMIT',
    '*filter',
    `:${FORWARD_CHAIN} - [0:0]`,
    ...ranges.flatMap((range) =>
      ['-s', '-d'].map((end) => `-A ${FORWARD_CHAIN} ${end} ${range} ${comment('Pods')} -j ACCEPT`),
    ),
    'COMMIT',
    '',
  ].join('\n');
}

/** Makes the kernel route for Pods. Doing it again changes nothing. */
export async function installPodNetwork(
  ranges: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  await prepareKernel(signal);
  const input = podNetworkRules(ranges);
  await run('iptables-restore', ['-w', '10', '--noflush'], { input }, signal);
  for (const jump of JUMPS) {
    const rule = [jump.from, '-j', jump.to];
    const found = await iptables(['-t', jump.table, '-C', ...rule], [0, 1], signal);
    if (found.exitCode !== 0) await iptables(['-t', jump.table, '-A', ...rule], [0], signal);
  }
}

/** What every Pod network needs of the kernel, whoever makes it. */
export async function prepareKernel(signal?: AbortSignal): Promise<void> {
  await loadBridgeFilter(signal);
  for (const [file, value] of Object.entries(SYSCTLS)) writeFileSync(file, value);
}

/** Takes the rules away again, also when only some of them are there. */
export async function removePodNetwork(signal?: AbortSignal): Promise<void> {
  for (const { table, from, to } of JUMPS) {
    await iptables(['-t', table, '-D', from, '-j', to], [0, 1, 2], signal);
    await iptables(['-t', table, '-F', to], [0, 1], signal);
    await iptables(['-t', table, '-X', to], [0, 1], signal);
  }
}

async function loadBridgeFilter(signal?: AbortSignal): Promise<void> {
  if (existsSync('/proc/sys/net/bridge')) return;
  await run('modprobe', ['br_netfilter'], {}, signal);
}

function iptables(args: string[], acceptExitCodes: number[], signal?: AbortSignal) {
  return run('iptables', ['-w', '10', ...args], { acceptExitCodes }, signal);
}
