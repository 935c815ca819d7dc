// A real API server over an in-memory store, in the network in which it is started; asked by lines of JSON.
import { createInterface } from 'node:readline';
import { startApiServer } from '../api-server.ts';

export interface ApiRequest {
  op: 'kubeconfig' | 'request';
  method?: string;
  path?: string;
  body?: unknown;
}

const server = await startApiServer();
process.once('SIGTERM', () => void server.stop().then(() => process.exit()));

async function handle({ op, method = 'GET', path = '', body }: ApiRequest): Promise<unknown> {
  if (op === 'kubeconfig') return server.kubeconfig;
  const { status, body: answer } = await server.request(method, path, body ? { body } : {});
  return { status, body: answer };
}

console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as ApiRequest & { id: number };
  handle(request).then(
    (result) => console.log(JSON.stringify({ id: request.id, result })),
    (err: unknown) => console.log(JSON.stringify({ id: request.id, error: String(err) })),
  );
}
