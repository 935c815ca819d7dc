import type Docker from 'dockerode';
import type { Cni } from './cni.ts';
import type { ContainerLogs } from './container-logs.ts';
import type { SpecFacts } from './container-spec.ts';
import type { StreamingServer } from './streaming.ts';

/** What the parts of the Docker runtime work with. */
export interface Engine {
  readonly docker: Docker;
  readonly cni: Cni;
  readonly logs: ContainerLogs;
  readonly streaming: StreamingServer;
  readonly facts: Omit<SpecFacts, 'handler'>;
}

/** Docker's times are RFC 3339, the year 1 for "not yet"; CRI's are nanoseconds. */
export function nanoseconds(time: string | number | undefined): number {
  const ms = typeof time === 'number' ? time * 1000 : Date.parse(time ?? '');
  return Number.isNaN(ms) || ms < 0 ? 0 : ms * 1e6;
}

/** `sha256:…` of images is left as it is; of containers there is none. */
export const netnsOf = (pid: number | undefined): string => (pid ? `/proc/${pid}/ns/net` : '');
