import { existsSync } from 'node:fs';
import { type Job, runInVirtualMachine } from '../../test/vm/virtual-machine.ts';

const LIMIT_MS = 900_000;
const hasIpvs = existsSync('/proc/net/ip_vs');

/**
 * Whether a mode is measured in an emulated machine: IPVS where this kernel lacks it, and any mode when it is asked for (VM=1),
 * which tells how much slower that machine is.
 */
export function needsMachine(mode: string): boolean {
  return process.env.VM !== undefined || (mode === 'ipvs' && !hasIpvs);
}

/** Runs a program in an emulated machine; the lines that it printed. Rejects when it failed. */
export async function inVirtualMachine(job: Omit<Job, 'timeoutMs'>): Promise<string[]> {
  const output = await runInVirtualMachine({ ...job, timeoutMs: LIMIT_MS });
  const lines = output.split('\n').map((line) => line.trim());
  if (!lines.includes('RC=0'))
    throw new Error(`The emulated machine failed: ${output.slice(-4_000)}`);
  return lines.filter((line) => line !== '');
}
