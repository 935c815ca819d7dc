import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { servingOptions } from '../../src/cli/component-access.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const MAPS = '/api/v1/namespaces/kube-system/configmaps';
const NAME = 'extension-apiserver-authentication';

it('a component follows the authority of clients that the API server publishes', async () => {
  const flags = {
    ...{ bindAddress: '127.0.0.1', securePort: '0' },
    authenticationKubeconfig: server.kubeconfig,
  };
  const { followClientCa } = servingOptions(flags, { clock: realClock, log: silent });
  const found: string[] = [];
  const stop = new AbortController();
  const following = followClientCa?.((authority) => found.push(authority), stop.signal);
  const apply = async (data: object) => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME }, data };
    const { status } = await server.request(
      'PATCH',
      `${MAPS}/${NAME}?fieldManager=test&force=true`,
      {
        body,
        headers: { 'content-type': 'application/apply-patch+yaml' },
      },
    );
    expect(status).toBeLessThan(300);
  };
  const other = { metadata: { name: 'other' }, data: { 'client-ca-file': 'of somebody else' } };
  await server.request('POST', MAPS, { body: other });
  await apply({ 'client-ca-file': 'first' });
  await vi.waitFor(() => expect(found.at(-1)).toBe('first'), 30_000);
  await apply({ 'client-ca-file': 'first', more: 'x' });
  await apply({ 'client-ca-file': 'second', more: 'x' });
  await vi.waitFor(() => expect(found.at(-1)).toBe('second'), 30_000);
  expect(found.filter((authority) => authority === 'first')).toHaveLength(1);
  expect(found).not.toContain('of somebody else');
  stop.abort();
  await following;
});
