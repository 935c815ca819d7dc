import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { type HttpsPeer, startHttpsPeer } from '../support/https-peer.ts';

let server: TestApiServer;
/** In the place of a node's kubelet. */
let kubelet: HttpsPeer;
const pods = '/api/v1/namespaces/default/pods';

beforeAll(async () => {
  kubelet = await startHttpsPeer(({ path }) => ({
    headers: { 'content-type': 'text/plain' },
    body: path,
  }));
  server = await startApiServer();
  const body = {
    ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubelet.port } },
    },
  };
  await server.request('POST', '/api/v1/nodes', { body });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account });
  for (const [name, nodeName] of Object.entries({ bound: 'n', unbound: undefined })) {
    const spec = { containers: [{ name: 'c', image: 'a' }], nodeName };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
    expect((await server.request('POST', pods, { body: pod })).status).toBe(201);
  }
});
afterAll(async () => {
  await server.stop();
  await kubelet.close();
});

/** What comes of a log by a WebSocket, until it is closed. */
async function byWebSocket(pod: string): Promise<{ text: string; code: number }> {
  const url = `${server.url.replace('https', 'wss')}${pods}/${pod}/log?tailLines=3`;
  const ws = new WebSocket(url, ['binary.k8s.io'], server.tls);
  let text = '';
  ws.on('message', (data) => {
    text += String(data);
  });
  return new Promise((resolve, reject) => {
    ws.on('error', reject);
    ws.on('close', (code) => resolve({ text, code }));
  });
}

describe('the log of a Pod', () => {
  it('is what its kubelet says', async () => {
    const { status, text } = await server.request('GET', `${pods}/bound/log?tailLines=3`);
    expect({ status, text }).toEqual({
      status: 200,
      text: '/containerLogs/default/bound/c?tailLines=3',
    });
  });

  it('comes by a WebSocket, too', async () => {
    expect(await byWebSocket('bound')).toEqual({
      text: '/containerLogs/default/bound/c?tailLines=3',
      code: 1000,
    });
  });

  it('is empty while it is on no node', async () => {
    expect((await server.request('GET', `${pods}/unbound/log`)).status).toBe(204);
    expect(await byWebSocket('unbound')).toEqual({ text: '', code: 1000 });
  });

  it('is refused before the WebSocket opens', async () => {
    await expect(byWebSocket('nobody')).rejects.toThrow('404');
  });
});
