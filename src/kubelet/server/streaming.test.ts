import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { podWith, ranContainer, runtimePod } from '../pods.fake.ts';
import { StreamingServer } from '../runtime/docker/streaming.ts';
import { endWhenIdle, streamToRuntime } from './streaming.ts';
import type { Target } from './target.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Both ends of a connection. */
async function connection(): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = createConnection((server.address() as AddressInfo).port, '127.0.0.1');
  const [near] = (await once(server, 'connection')) as [Socket];
  far.on('error', () => {});
  closers.push(() => {
    for (const end of [near, far, server]) 'destroy' in end ? end.destroy() : end.close();
  });
  return [near, far];
}

describe('endWhenIdle', () => {
  it('ends a connection over which nothing is said', async () => {
    const [near, far] = await connection();
    far.resume();
    endWhenIdle(near, 20);
    await once(far, 'close');
    expect(near.destroyed).toBe(true);
  });

  it('leaves one alone over which something is', async () => {
    // Where the machine stood still for so long nothing was said either: that is tried again.
    for (let stoodStill = true; stoodStill; ) {
      const [near, far] = await connection();
      endWhenIdle(near, 200);
      near.resume();
      const begin = performance.now();
      const closed = once(near, 'close');
      let longest = 0;
      for (let last = begin; !near.destroyed && last - begin < 400; ) {
        far.write('x');
        await Promise.race([once(near, 'data'), closed]);
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }
      stoodStill = near.destroyed && longest > 100;
      if (!stoodStill) expect(near.destroyed).toBe(false);
    }
  });
});

describe('streamToRuntime', () => {
  /** A door before a runtime that speaks SPDY only; its command says what it was given and ends with a 3. */
  async function door(): Promise<number> {
    const runtime = new StreamingServer();
    const pod = podWith({ containers: [{ name: 'main' }] });
    const target = {
      workers: { list: () => [{ pod, uid: pod.metadata.uid }] },
      pleg: { get: () => runtimePod([ranContainer('main', { id: 'id' })]) },
      runtime: {
        exec: ({ cmd }: { cmd: readonly string[] }) =>
          runtime.prepare({
            kind: 'command',
            streams: ['stdout', 'stderr'],
            run: async ({ stdout, stderr }) => {
              stdout?.write(`ran ${cmd.join(' ')}`);
              stderr?.write('with trouble');
              return 3;
            },
          }),
      },
    } as unknown as Target;
    const server = createHttpServer();
    server.on('upgrade', (req, socket, head) => {
      socket.on('error', () => {});
      void streamToRuntime({ req, socket, head }, target, new AbortController().signal);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(
      () => server.close(),
      () => runtime.close(),
    );
    return (server.address() as AddressInfo).port;
  }

  it.each(['v4.channel.k8s.io', 'v5.channel.k8s.io'])(
    'speaks %s for a runtime that does not',
    async (protocol) => {
      const { metadata } = podWith();
      const path = `/exec/${metadata.namespace}/${metadata.name}/main?command=a&command=b&output=1&error=1`;
      const ws = new WebSocket(`ws://127.0.0.1:${await door()}${path}`, protocol);
      const told: Record<number, string> = {};
      ws.binaryType = 'arraybuffer';
      ws.onmessage = ({ data }) => {
        const [channel = 0, ...text] = new Uint8Array(data as ArrayBuffer);
        told[channel] = (told[channel] ?? '') + Buffer.from(text).toString();
      };
      await once(ws, 'close');
      expect(ws.protocol).toBe(protocol);
      expect([told[1], told[2]]).toEqual(['ran a b', 'with trouble']);
      expect(JSON.parse(told[3] ?? '')).toMatchObject({ reason: 'NonZeroExitCode' });
    },
  );
});
