import { once } from 'node:events';
import { createServer } from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { createAuthority } from '../pki/ca.ts';
import { discover } from './discovery.ts';

describe('discover', () => {
  const stops: (() => void)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
  });

  /** An API server that answers everybody the same. */
  async function serverThatSays(code: number, message: string): Promise<string> {
    const { certificate, key } = await createAuthority('somebody', Date.now());
    const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message };
    const server = createServer({ cert: certificate, key }, (_, res) => {
      res.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(status));
    });
    stops.push(() => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  }
  const token = 'abcdef.0123456789abcdef';

  it.each([
    [401, 'Unauthorized', /answers nobody whom it does not know \(--anonymous-auth=false\)/],
    [404, 'not found', /does not let new nodes in yet: not found; .* k8ts token create/],
  ])('says what to do about a server that answers %i', async (code, message, wanted) => {
    const server = await serverThatSays(code, message);
    const found = discover({ server, token, caCertHashes: undefined });
    await expect(found).rejects.toThrow(wanted);
  });
});
