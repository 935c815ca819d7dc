import { request } from 'node:https';
import type { BenchServer } from './bench-server.ts';

const AT_ONCE = 64;
export const PODS = '/api/v1/namespaces/default/pods';
export const ALL_PODS = '/api/v1/pods';

/** Makes objects by POST, many at once. */
export async function createAll(
  server: BenchServer,
  path: string,
  count: number,
  object: (i: number) => object,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: AT_ONCE }, () => server.connect()));
  let next = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (next < count) {
        const i = next++;
        const { status, text } = await client.request('POST', path, JSON.stringify(object(i)));
        if (status !== 201) throw new Error(`${path} ${i}: ${status} ${text}`);
      }
      client.close();
    }),
  );
}

/** Pods need the service account of their namespace. */
export async function makeServiceAccount(server: BenchServer): Promise<void> {
  const path = '/api/v1/namespaces/default/serviceaccounts';
  const { status } = await server.send('POST', path, { metadata: { name: 'default' } });
  if (status !== 201 && status !== 409) throw new Error(`The service account: ${status}`);
}

/** A Pod of about 3 kB on node `i` modulo `nodes`, with a label that one in a hundred shares. */
export function benchPod(i: number, nodes: number): object {
  return {
    metadata: {
      name: `pod-${i}`,
      labels: { app: 'bench', hundredth: String(i % 100) },
      annotations: { text: 'x'.repeat(1_700) },
    },
    spec: {
      nodeName: `node-${i % nodes}`,
      containers: [
        {
          name: 'main',
          image: 'registry.example/app:1.0',
          resources: { requests: { cpu: '100m', memory: '128Mi' } },
        },
      ],
    },
  };
}

/** Fetches a path as node's own client does, and answers how many bytes came. */
export function fetchBytes(server: BenchServer, port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const { options } = server.agent;
    const req = request({ ...options, agent: false, host: '127.0.0.1', port, path }, (res) => {
      let bytes = 0;
      res.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      res.on('end', () => resolve(bytes));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end();
  });
}
