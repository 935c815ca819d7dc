import type { ElementChanges } from '../element-store.ts';
import type { IpFamily } from '../model.ts';
import type { IpvsSet } from './service-rules.ts';
import { kernelName } from './sets.ts';

/** What leads the kernel from one state to the next. */
export interface IpvsCommands {
  /** Lines of `ipset restore`, before all else: rules must know an address before it answers. */
  readonly sets: string[];
  /** Lines of `ipvsadm -R`. */
  readonly servers: string[];
  /** Addresses of kube-ipvs0, last: they lead traffic to the servers. */
  readonly addresses: { readonly add: string[]; readonly remove: string[] };
}

/**
 * Commands for changes. `draining`: destinations that were taken out of service but still have connections; those
 * that are taken out now are added, those that return or whose server goes are removed from it.
 */
export function ipvsCommands(
  changes: ElementChanges<IpvsSet>,
  draining: Set<string>,
  family: IpFamily,
): IpvsCommands {
  const sets: string[] = [];
  const addresses = { add: [] as string[], remove: [] as string[] };
  for (const [verb, elements] of [
    ['del', changes.gone],
    ['add', changes.fresh],
  ] as const) {
    for (const { set, key } of elements) {
      if (set === 'address') addresses[verb === 'add' ? 'add' : 'remove'].push(key);
      else if (set !== 'server' && set !== 'destination') {
        sets.push(`${verb} ${kernelName(set, family)} ${key}`);
      }
    }
  }
  return { sets, servers: serverLines(changes, draining), addresses };
}

function serverLines({ gone, fresh }: ElementChanges<IpvsSet>, draining: Set<string>): string[] {
  const keysOf = (wanted: IpvsSet) =>
    gone.filter(({ set }) => set === wanted).map(({ key }) => key);
  const ending = new Set(keysOf('server'));
  const servers = fresh
    .filter(({ set }) => set === 'server')
    .map(({ key, value }) => `${ending.delete(key) ? '-E' : '-A'} ${key} ${value}`);
  const destinations = fresh
    .filter(({ set }) => set === 'destination')
    .map(({ key }) => `${draining.delete(key) ? '-e' : '-a'} ${key} -m -w 1`);
  const withdrawn = keysOf('destination')
    .filter((key) => !ending.has(serverOf(key)))
    .map((key) => withdraw(key, draining));
  for (const key of draining) if (ending.has(serverOf(key))) draining.delete(key);
  const ended = [...ending].map((key) => `-D ${key}`);
  return [...servers, ...destinations, ...withdrawn, ...ended];
}

/** No new connections for a destination; those that it has go on. A datagram has none to wait for. */
function withdraw(destination: string, draining: Set<string>): string {
  if (destination.startsWith('-u ')) return `-d ${destination}`;
  draining.add(destination);
  return `-e ${destination} -m -w 0`;
}

/** The virtual server of a destination `-t IP:PORT -r IP:PORT`. */
export function serverOf(destination: string): string {
  return destination.slice(0, destination.indexOf(' -r '));
}
