import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { realClock } from '../util/clock.ts';
import { silent } from '../util/log.ts';
import { addressesOf } from './api-servers.ts';
import { Balancer, isServing, type ServerState } from './balancer.ts';

const servers: Server[] = [];
let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
  for (const server of servers.splice(0)) server.close();
});

/** A server that says its name to whoever connects, and keeps the connection. */
async function named(name: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(name);
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

async function balanced(
  addresses: readonly string[],
  ask: (address: string) => Promise<ServerState> = async () => 'ready',
) {
  const balancer = new Balancer({ clock: realClock, log: silent, ask }, addresses);
  const port = Promise.withResolvers<number>();
  void balancer.run({ host: '127.0.0.1', port: 0 }, stop.signal, port.resolve);
  const to = await port.promise;
  const call = async () => {
    const socket = connect(to, '127.0.0.1');
    socket.on('error', () => {}); // The balancer ends with the test, and with it what it keeps.
    const [data] = (await once(socket, 'data')) as [Buffer];
    return { name: String(data), socket };
  };
  return { balancer, call };
}

describe('Balancer', () => {
  it('hands connections to its servers in turn, and leaves those out that do not take any', async () => {
    const [one, two] = [await named('one'), await named('two')];
    const { call } = await balanced([one, '127.0.0.1:1', two]);
    const names = [];
    for (let i = 0; i < 6; i++) {
      const { name, socket } = await call();
      names.push(name);
      socket.destroy();
    }
    expect(new Set(names)).toEqual(new Set(['one', 'two']));
  });

  it('gives a server that leaves no more connections and keeps those it has; one that is dead loses them', async () => {
    const [one, two] = [await named('one'), await named('two')];
    const states = new Map<string, ServerState>([[two, 'leaving']]);
    const { balancer, call } = await balanced([one, two], async (a) => states.get(a) ?? 'ready');
    const is = async (address: string, state: ServerState) => {
      while (balancer.servers.find((s) => s.address === address)?.state !== state) {
        await realClock.sleep(20);
      }
    };
    await is(two, 'leaving');
    const { name, socket } = await call();
    expect(name).toBe('one');
    states.set(two, 'ready').set(one, 'leaving');
    await is(one, 'leaving');
    await is(two, 'ready');
    expect((await call()).name).toBe('two');
    expect(socket.destroyed).toBe(false);
    const closed = once(socket, 'close');
    states.set(one, 'dead');
    await closed;
    await is(one, 'dead');
  });

  it('goes back to former servers when none of the others takes connections', async () => {
    const [one, two] = [await named('one'), await named('two')];
    const { balancer, call } = await balanced([one, two]);
    balancer.useServers([two]);
    expect((await call()).name).toBe('two');
    balancer.useServers(['127.0.0.1:1']);
    expect(balancer.everyServer).toEqual(['127.0.0.1:1', two, one]);
    expect((await call()).name).toBe('two');
    balancer.useServers([one]);
    expect(balancer.everyServer).toEqual([one, '127.0.0.1:1', two]);
  });

  it('forgets the oldest of many former servers', () => {
    const balancer = new Balancer({ clock: realClock, log: silent }, ['a:0']);
    for (let i = 1; i < 20; i++) balancer.useServers([`a:${i}`]);
    const lastOnes = [19, 18, 17, 16, 15, 14, 13, 12, 11];
    expect(balancer.everyServer).toEqual(lastOnes.map((i) => `a:${i}`));
  });

  it('remembers its servers when it is told of none', () => {
    const balancer = new Balancer({ clock: realClock, log: silent }, ['a:1', 'b:1']);
    balancer.useServers([]);
    expect(balancer.servers).toHaveLength(2);
    balancer.useServers(['b:1', 'c:1']);
    expect(balancer.servers.map(({ address }) => address)).toEqual(['b:1', 'c:1']);
  });
});

describe('addressesOf', () => {
  it('names each address once, with its port', () => {
    const slice = (...addresses: string[]) => ({
      endpoints: [{ addresses }],
      ports: [{ name: 'https', port: 6443 }],
    });
    expect(addressesOf([slice('192.0.2.2', '192.0.2.1'), slice('192.0.2.1', 'fd00::1')])).toEqual([
      '192.0.2.1:6443',
      '192.0.2.2:6443',
      '[fd00::1]:6443',
    ]);
  });
});

describe('isServing', () => {
  it.each([
    [200, true],
    [401, true],
    [403, true],
    [500, false],
    [undefined, false],
  ])('%s: %s', (status, serves) => {
    expect(isServing(status)).toBe(serves);
  });
});
