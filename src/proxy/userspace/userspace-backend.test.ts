import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { realClock } from '../../util/clock.ts';
import { createLogger } from '../../util/log.ts';
import { FakeBackend } from '../backend.fake.ts';
import type { ProxyState, ServicePort } from '../model.ts';
import { servicePort } from '../service-port.fake.ts';
import { UserspaceBackend } from './userspace-backend.ts';

const { signal } = new AbortController();
const undo: (() => void)[] = [];
afterEach(() => {
  for (const act of undo.splice(0)) act();
});

function backend() {
  const rules = new FakeBackend();
  const deps = { rules, clock: realClock, log: createLogger('test', 0) };
  const subject = new UserspaceBackend(deps, () => '127.0.0.1');
  undo.push(() => subject.close());
  const sync = async (...services: ServicePort[]): Promise<ProxyState> =>
    await subject.sync(
      { family: 4, services: new Map(services.map((service) => [service.id, service])) },
      { full: rules.synced.length === 0 },
      signal,
    );
  return { rules, subject, sync };
}

/** An endpoint that answers each connection with its name and echoes until the client ends its half. */
async function tcpEndpoint(name: string): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.write(`${name}:`);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function udpEndpoint(name: string): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (data, peer) => socket.send(`${name}:${data}`, peer.port, peer.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  undo.push(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

/** Says something, ends its half and answers everything that came back; undefined for a reset. */
function ask(port: number, text: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('data', (data) => {
      answer += String(data);
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', () => resolve(undefined));
    socket.end(text);
  });
}

const relayPort = (state: ProxyState, id: string) =>
  state.services.get(id)?.endpoints.cluster[0]?.port ?? 0;
const WEB = 'default/web/TCP';

describe('UserspaceBackend', () => {
  it('takes another port where somebody has the next one of its row', async () => {
    const { sync } = backend();
    const endpoints = [await tcpEndpoint('a')];
    const port = relayPort(await sync(servicePort({ endpoints })), WEB);
    const other = createServer().listen(port + 2, '127.0.0.1');
    // It may be somebody else's already, which is as good.
    await Promise.race([once(other, 'listening'), once(other, 'error')]).catch(() => {});
    undo.push(() => other.close());
    const second = servicePort({ service: 'second', clusterIP: '10.96.0.2', endpoints });
    const third = servicePort({ service: 'third', clusterIP: '10.96.0.3', endpoints });
    const state = await sync(servicePort({ endpoints }), second, third);
    const ports = ['web', 'second', 'third'].map((name) => relayPort(state, `default/${name}/TCP`));
    expect(new Set([...ports, port + 2]).size).toBe(4);
    for (const one of ports) expect(await ask(one, 'x')).toBe('a:x');
  });

  it('relays both directions and half-closed connections, one endpoint after the other', async () => {
    const { sync } = backend();
    const endpoints = [await tcpEndpoint('a'), await tcpEndpoint('b')];
    const port = relayPort(await sync(servicePort({ endpoints })), WEB);
    const text = 'x'.repeat(300_000);
    const answers = [await ask(port, text), await ask(port, text), await ask(port, text)];
    expect(answers.map((answer) => answer?.[0])).toHaveLength(3);
    expect(new Set(answers.map((answer) => answer?.[0]))).toEqual(new Set(['a', 'b']));
    expect(answers[0]?.length).toBe(text.length + 2);
  });

  it('shows the kernel one endpoint a service port, the same however the real ones change', async () => {
    const { sync, rules } = backend();
    await sync(servicePort({ endpoints: ['10.0.0.1:80', '10.0.0.2:80'] }));
    await sync(servicePort({ endpoints: ['10.0.0.3:80'] }));
    const [first, second] = rules.synced.map(({ services }) => services.get(WEB));
    expect(first?.endpoints.cluster).toMatchObject([{ ip: '127.0.0.1' }]);
    expect(second).toBe(first);
  });

  it('passes over an endpoint that refuses', async () => {
    const { sync } = backend();
    const endpoints = ['127.0.0.1:1', await tcpEndpoint('alive')];
    const port = relayPort(await sync(servicePort({ endpoints })), WEB);
    for (let i = 0; i < 4; i++) expect(await ask(port, 'x')).toBe('alive:x');
  });

  it('resets a client when no endpoint can be reached', async () => {
    const { sync } = backend();
    const port = relayPort(await sync(servicePort({ endpoints: ['127.0.0.1:1'] })), WEB);
    expect(await ask(port, 'x')).toBeUndefined();
  });

  it('shows no endpoint where there is none, and for SCTP', async () => {
    const { sync } = backend();
    const sctp = servicePort({ service: 's', protocol: 'SCTP', endpoints: ['10.0.0.1:80'] });
    const { services } = await sync(servicePort(), sctp);
    const choices = [...services.values()].map(({ endpoints }) => endpoints);
    for (const choice of choices) expect(choice).toMatchObject({ reachable: [], any: false });
    expect(choices).toHaveLength(2);
  });

  it('listens apart for endpoints of this node where a policy asks for them', async () => {
    const { sync } = backend();
    const local = await tcpEndpoint('local');
    const service = servicePort({
      nodePort: 30_000,
      externalLocal: true,
      endpoints: [`${local} local`, await tcpEndpoint('far')],
    });
    const { endpoints } = (await sync(service)).services.get(WEB) ?? service;
    expect(endpoints.local[0]?.port).not.toBe(endpoints.cluster[0]?.port);
    for (let i = 0; i < 3; i++) {
      expect(await ask(endpoints.local[0]?.port ?? 0, 'x')).toBe('local:x');
    }
  });

  it('stops listening when the service port is gone', async () => {
    const { sync } = backend();
    const service = servicePort({ endpoints: [await tcpEndpoint('a')] });
    const port = relayPort(await sync(service), WEB);
    expect(await ask(port, 'x')).toBe('a:x');
    expect((await sync()).services.size).toBe(0);
    expect(await ask(port, 'x')).toBeUndefined();
  });

  it('relays datagrams, and moves a flow when its endpoint is gone', async () => {
    const { sync } = backend();
    const [a, b] = [await udpEndpoint('a'), await udpEndpoint('b')];
    const udp = (endpoints: string[]) => servicePort({ protocol: 'UDP', endpoints });
    const port = relayPort(await sync(udp([a])), 'default/web/UDP');
    const client = createSocket('udp4');
    undo.push(() => client.close());
    const exchange = async (text: string) => {
      client.send(text, port, '127.0.0.1');
      const [answer] = await once(client, 'message', { signal: AbortSignal.timeout(30_000) });
      return String(answer);
    };
    expect(await exchange('1')).toBe('a:1');
    await sync(udp([a, b]));
    expect(await exchange('2')).toBe('a:2');
    await sync(udp([b]));
    expect(await exchange('3')).toBe('b:3');
  });
});
