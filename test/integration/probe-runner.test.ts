import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { resolve } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Probe } from '../../src/api/types.ts';
import { podWith } from '../../src/kubelet/pods.fake.ts';
import { runProbe } from '../../src/kubelet/probes/probe-runner.ts';
import type { ContainerRuntime } from '../../src/kubelet/runtime/runtime.ts';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import { freePort } from '../support/free-port.ts';

const closers: (() => void)[] = [];
afterAll(() => {
  for (const close of closers) close();
});

/** Runs a probe against this machine's loopback. */
function probed(probe: Probe) {
  const pod = podWith({
    containers: [{ name: 'main', ports: [{ name: 'web', containerPort: ports.https }] }],
  });
  const [container] = pod.spec?.containers ?? [];
  if (!container) throw new Error('no container');
  const target = { pod, container, containerId: 'id', podIp: '127.0.0.1' };
  const runtime = {} as ContainerRuntime; // Only exec probes ask it.
  return runProbe({ timeoutSeconds: 30, ...probe }, target, runtime, new AbortController().signal);
}

const ports = { http: 0, https: 0, tcp: 0, closed: 0, health: 0, other: 0 };
beforeAll(async () => {
  const now = Date.now();
  const authority = await createAuthority('ca', now);
  const { certificate, key } = await issueCertificate(
    authority,
    {
      commonName: 'elsewhere.test',
      organizations: [],
      names: ['elsewhere.test'],
      usages: ['server'],
      notAfter: certificateEnd(now),
    },
    now,
  );
  const https = createHttpsServer({ cert: certificate, key }, (_request, response) =>
    response.end('ok'),
  ).listen(0, '127.0.0.1');
  const http = createHttpServer(({ url }, response) => {
    if (url === '/away')
      response.writeHead(302, { location: 'http://elsewhere.test/' }).end('gone');
    else if (url === '/bad') response.writeHead(500).end();
    else response.writeHead(200, { 'content-length': 100 }).write('x', () => response.destroy());
  }).listen(0, '127.0.0.1');
  const tcp = createServer().listen(0, '127.0.0.1');
  await Promise.all([http, https, tcp].map((server) => once(server, 'listening')));
  ports.http = (http.address() as AddressInfo).port;
  ports.https = (https.address() as AddressInfo).port;
  ports.tcp = (tcp.address() as AddressInfo).port;
  ports.closed = await freePort();
  closers.push(
    () => http.close(),
    () => https.close(),
    () => tcp.close(),
  );
  ports.health = await grpcServer({ '': 'SERVING', sick: 'NOT_SERVING' });
  ports.other = await grpcServer(undefined);
});

/** A server of grpc.health.v1 that answers by service; without answers it knows no such service. */
async function grpcServer(answers: Record<string, string> | undefined): Promise<number> {
  const server = new grpc.Server();
  const proto = resolve(import.meta.dirname, '../../proto/health.proto');
  const loaded = loadSync(proto, { enums: String, defaults: true });
  const check: grpc.handleUnaryCall<{ service: string }, object> = (call, callback) => {
    const status = answers?.[call.request.service];
    if (status === undefined) callback({ code: grpc.status.NOT_FOUND, details: 'unknown service' });
    else callback(null, { status });
  };
  const definition = loaded['grpc.health.v1.Health'] as grpc.ServiceDefinition;
  if (answers) server.addService(definition, { Check: check });
  const port = await new Promise<number>((done, failed) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (err, bound) =>
      err ? failed(err) : done(bound),
    ),
  );
  closers.push(() => server.forceShutdown());
  return port;
}

describe('runProbe', () => {
  it.each<[string, () => Probe, string, RegExp]>([
    [
      'HTTPS with a certificate of another name, at a named port',
      () => ({ httpGet: { scheme: 'HTTPS', port: 'web' } }),
      'success',
      /^ok$/,
    ],
    ['an open port', () => ({ tcpSocket: { port: ports.tcp } }), 'success', /^$/],
    [
      'for longer than a timer can wait',
      () => ({ httpGet: { scheme: 'HTTPS', port: 'web' }, timeoutSeconds: 2 ** 31 - 1 }),
      'success',
      /^ok$/,
    ],
    [
      'a closed port',
      () => ({ tcpSocket: { port: ports.closed } }),
      'failure',
      /^dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/,
    ],
    [
      'HTTP where nobody listens',
      () => ({ httpGet: { port: ports.closed, path: '/x' } }),
      'failure',
      /^Get "http:\/\/127\.0\.0\.1:\d+\/x": dial tcp .* connection refused$/,
    ],
    [
      'HTTPS where only HTTP is spoken',
      () => ({ httpGet: { scheme: 'HTTPS', port: ports.http } }),
      'failure',
      /^Get "https:\/\/127\.0\.0\.1:\d+\/": http: server gave HTTP response to HTTPS client$/,
    ],
    [
      'HTTP that is led to another host',
      () => ({ httpGet: { port: ports.http, path: '/away' } }),
      'warning',
      /^Probe terminated redirects, Response body: gone$/,
    ],
    [
      'HTTP whose answer breaks off',
      () => ({ httpGet: { port: ports.http, path: '/broken' } }),
      'error',
      /^unexpected EOF$/,
    ],
    [
      'HTTP that fails',
      () => ({ httpGet: { port: ports.http, path: '/bad' } }),
      'failure',
      /^HTTP probe failed with statuscode: 500$/,
    ],
    [
      'a port that has no name',
      () => ({ httpGet: { port: 'no' } }),
      'error',
      /couldn't find port: "no"/,
    ],
    ['gRPC that serves', () => ({ grpc: { port: ports.health } }), 'success', /healthy/],
    [
      'gRPC whose service is sick',
      () => ({ grpc: { port: ports.health, service: 'sick' } }),
      'failure',
      /NOT_SERVING/,
    ],
    [
      'gRPC whose service is unknown',
      () => ({ grpc: { port: ports.health, service: 'no' } }),
      'failure',
      /unknown service/,
    ],
    ['gRPC without health', () => ({ grpc: { port: ports.other } }), 'failure', /not implement/],
    ['no handler', () => ({}), 'error', /missing probe handler/],
  ])('of %s', async (...[, probe, result, message]) => {
    const outcome = await probed(probe());
    expect(outcome).toEqual({ result, message: expect.stringMatching(message) });
  });
});
