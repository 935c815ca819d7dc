import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
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

function run(handler: Handler, exitCode = 0, clock = new FakeClock()): Promise<void> {
  const container: Container = { name: 'c', ports: [{ name: 'web', containerPort: port }] };
  const runtime = {
    async execSync(_id: string, command: readonly string[]) {
      return { stdout: Buffer.from(command.join('+')), stderr: Buffer.alloc(0), exitCode };
    },
  } as unknown as ContainerRuntime;
  const given = { pod: podWith(), container, containerId: 'id', podIp: '127.0.0.1' };
  return runHook(handler, given, { runtime, clock }, new AbortController().signal);
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

  it('fails with what it asks, and says how', async () => {
    await expect(run({ httpGet: { path: '/broken', port } } as Handler)).rejects.toThrow(
      'HTTP status 500',
    );
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
