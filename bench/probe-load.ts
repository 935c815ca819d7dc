import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { Pod, Probe } from '../src/api/types.ts';
import { podWith, ranContainer, runtimePod } from '../src/kubelet/pods.fake.ts';
import { ProbeManager } from '../src/kubelet/probes/probe-manager.ts';
import type { ContainerRuntime } from '../src/kubelet/runtime/runtime.ts';
import { realClock } from '../src/util/clock.ts';
import { silent } from '../src/util/log.ts';

/**
 * What probes cost the kubelet: 500 containers, each probed once a second, against the floor of as many connections
 * that a bare program opens, asks and closes. The server that answers is another process.
 */
const PROBES = 500;
const SECONDS = 10;

if (process.send) serve();
else await measure();

function serve(): void {
  const server = createServer((_request, response) => response.end('ok'));
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port));
  process.on('disconnect', () => process.exit());
}

async function measure(): Promise<void> {
  const server = fork(import.meta.filename);
  const [port] = (await once(server, 'message')) as [number];
  const floor = await cost(() => bareLoop(port));
  const http = await cost(() => probes({ httpGet: { path: '/', port } }));
  const tcp = await cost(() => probes({ tcpSocket: { port } }));
  server.disconnect();
  const line = (name: string, share: number): string =>
    `${name} ${(share * 100).toFixed(1).padStart(5)} % of a core, ${((share * 1e6) / PROBES).toFixed(0)} us a probe; ratio ${(share / floor).toFixed(2)}`;
  console.log(`${PROBES} probes a second, for ${SECONDS} s each (at most 10 % of a core)`);
  console.log(line('floor  ', floor));
  console.log(line('httpGet', http));
  console.log(line('tcp    ', tcp));
}

/** The share of a core that this process uses while the work goes on. */
async function cost(start: () => () => void): Promise<number> {
  const stop = start();
  await realClock.sleep(2000); // All have begun, and the code is hot.
  const before = process.cpuUsage();
  const begin = performance.now();
  await realClock.sleep(SECONDS * 1000);
  const { user, system } = process.cpuUsage(before);
  const elapsed = performance.now() - begin;
  stop();
  return (user + system) / 1000 / elapsed;
}

/** One connection, request and answer each 1/500 s, by nothing but sockets. */
function bareLoop(port: number): () => void {
  const timer = setInterval(() => {
    for (let i = 0; i < PROBES / 100; i++) {
      const socket = connect(port, '127.0.0.1');
      socket.end(`GET / HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`);
      socket.resume();
    }
  }, 10);
  return () => clearInterval(timer);
}

function probes(handler: Probe): () => void {
  const manager = new ProbeManager({
    runtime: {} as ContainerRuntime, // Only exec probes ask it.
    recorder: { event: () => {} },
    clock: realClock,
    log: silent,
    hostIps: () => [],
    mirrorOf: () => undefined,
    onChange: () => {},
    onRun: () => {},
  });
  const livenessProbe = { ...handler, periodSeconds: 1, timeoutSeconds: 1 };
  for (let i = 0; i < PROBES; i++) {
    const uid = `uid-${i}`;
    const pod: Pod = podWith({ containers: [{ name: 'main', livenessProbe }] }, { uid });
    const container = ranContainer('main', { id: `id-${i}` });
    manager.follow(pod, runtimePod([container], { ips: ['127.0.0.1'] }));
  }
  return () => manager.stop();
}
