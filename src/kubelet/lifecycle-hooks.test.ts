import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo, createServer as createConnectionServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Container } from '../api/types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { runHook } from './lifecycle-hooks.ts';
import { podWith } from './pods.fake.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

let server: Server;
let port = 0;
const requests: { path: string | undefined; headers: IncomingHttpHeaders }[] = [];
beforeAll(async () => {
  server = createServer(({ url, headers }, res) => {
    requests.push({ path: url, headers });
    res.writeHead(url === '/broken' ? 500 : 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
});

type Handler = Parameters<typeof runHook>[0];

const events: string[] = [];

function run(handler: Handler, exitCode = 0, clock = new FakeClock()): Promise<void> {
  const container: Container = { name: 'c', ports: [{ name: 'web', containerPort: port }] };
  const runtime = {
    async execSync(_id: string, command: readonly string[]) {
      return { stdout: Buffer.from(command.join('+')), stderr: Buffer.alloc(0), exitCode };
    },
  } as unknown as ContainerRuntime;
  const given = { pod: podWith(), container, containerId: 'id', podIp: '127.0.0.1' };
  const recorder = {
    event: (_pod: unknown, type: string, reason: string, message: string) =>
      void events.push(`${type} ${reason} ${message}`),
  };
  return runHook(handler, given, { runtime, clock, recorder }, new AbortController().signal);
}

describe('runHook', () => {
  it('asks the Pod by HTTP, at a port by its name and with the headers that are wanted', async () => {
    const httpHeaders = [{ name: 'X-Why', value: 'hook' }];
    await run({ httpGet: { path: '/begun?by=hook', port: 'web', httpHeaders } } as Handler);
    expect(requests.at(-1)).toMatchObject({
      path: '/begun?by=hook',
      headers: { 'x-why': 'hook', 'user-agent': 'kube-lifecycle/1.36' },
    });
  });

  it('is content with any answer, as upstream is', async () => {
    await run({ httpGet: { path: '/broken', port } } as Handler);
    expect(requests.at(-1)?.path).toBe('/broken');
  });

  it('asks a server that does not speak HTTPS without it, but tells no secret', async () => {
    const httpHeaders = [{ name: 'Authorization', value: 'Bearer x' }];
    await run({ httpGet: { scheme: 'HTTPS', path: '/plain', port, httpHeaders } } as Handler);
    expect(requests.at(-1)?.path).toBe('/plain');
    expect(requests.at(-1)?.headers).not.toHaveProperty('authorization');
    expect(events).toEqual([
      `Warning LifecycleHTTPFallback request to HTTPS lifecycle hook 127.0.0.1:${port} got HTTP response, retry with HTTP succeeded`,
    ]);
  });

  it('fails where nobody answers or a command does, and says how', async () => {
    const mute = createConnectionServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const at = (mute.address() as AddressInfo).port;
    await expect(run({ httpGet: { path: '/', port: at } } as Handler)).rejects.toThrow('EOF');
    mute.close();
    await expect(run({ exec: { command: ['a', 'b'] } }, 3)).rejects.toThrow(
      'Exec lifecycle hook ([a b]) exited with 3, message: "a+b"',
    );
  });

  it('waits for as long as it shall sleep', async () => {
    const clock = new FakeClock();
    let slept = false;
    const sleeping = run({ sleep: { seconds: 5 } }, 0, clock).then(() => {
      slept = true;
    });
    await clock.advance(4999);
    expect(slept).toBe(false);
    await clock.advance(1);
    await sleeping;
    expect(slept).toBe(true);
  });
});
