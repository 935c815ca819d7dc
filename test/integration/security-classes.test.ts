import { generateKeyPairSync } from 'node:crypto';
import { connect as connectH2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTokenFile } from '../../src/apiserver/identity-configuration.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpsPeer, startHttpsPeer } from '../support/https-peer.ts';

// One test for each class of weakness that other clusters have had; more of them stand beside what they are about.

let server: TestApiServer;
const API = '/api/v1';
const CORE = `${API}/namespaces/default`;
beforeAll(async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  server = await startApiServer({
    admission: { enable: ['NodeRestriction', 'DenyServiceExternalIPs'] },
    staticTokens: parseTokenFile('reader-token,reader,1\nadmin-token,root,2,"system:masters"\n'),
    serviceAccounts: {
      issuer: 'https://kubernetes.default.svc',
      signingKey: privateKey,
      verificationKeys: [publicKey],
    },
  });
  await create(`${CORE}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  });
});
afterAll(() => server.stop());

async function create(path: string, body: object) {
  const answer = await server.request('POST', path, { body });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body;
}

const pod = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

describe('proxies', () => {
  const node = (name: string, addresses: object[]) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { addresses },
  });

  it.each([
    ['127.0.0.1', 'InternalIP'],
    ['169.254.169.254', 'InternalIP'],
    ['::1', 'InternalIP'],
    ['0.0.0.0', 'InternalIP'],
    ['localhost', 'Hostname'],
  ])(
    'CVE-2022-3294, CVE-2020-8562: do not reach what only this machine reaches: %s',
    async (address, type) => {
      const name = `n-${address.replace(/\W/g, 'x')}`;
      await create(`${API}/nodes`, node(name, [{ type, address }]));
      for (const port of ['', ':6443']) {
        const answer = await server.request('GET', `${API}/nodes/${name}${port}/proxy/healthz`);
        expect(answer.status).toBe(400);
        expect(answer.body.message).toContain('address not allowed');
      }
    },
  );

  it('CVE-2022-3294: nor by the address that a Pod says that it has', async () => {
    await create(`${CORE}/pods`, pod('liar'));
    const body = { status: { podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] } };
    await server.request('PATCH', `${CORE}/pods/liar/status`, { body });
    const answer = await server.request('GET', `${CORE}/pods/liar/proxy/`);
    expect(answer.body.message).toContain('address not allowed');
  });
});

describe('a kubelet', () => {
  let kubelet: HttpsPeer;
  beforeAll(async () => {
    kubelet = await startHttpsPeer(({ path }) =>
      path.startsWith('/stolen')
        ? { body: 'stolen' }
        : {
            status: 302,
            headers: { location: `https://127.0.0.1:${kubelet.port}/stolen` },
            body: {},
          },
    );
    await create(`${API}/nodes`, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'redirecting' },
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: kubelet.port } },
      },
    });
    await create(`${CORE}/pods`, pod('there', { nodeName: 'redirecting' }));
    const rules = [
      {
        apiGroups: [''],
        resources: ['pods/exec', 'pods/attach', 'pods/portforward'],
        verbs: ['get'],
      },
      { apiGroups: [''], resources: ['nodes/proxy'], verbs: ['get'] },
    ];
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    const metadata = { name: 'reader' };
    await create(`${rbac}/clusterroles`, { apiVersion, kind: 'ClusterRole', metadata, rules });
    await create(`${rbac}/clusterrolebindings`, {
      ...{ apiVersion, kind: 'ClusterRoleBinding', metadata },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'reader' }],
    });
  });
  afterAll(() => kubelet.close());

  it('CVE-2020-8559: leads the API server nowhere by a redirect', async () => {
    const log = await server.request('GET', `${CORE}/pods/there/log`);
    expect(log.status).toBeGreaterThanOrEqual(300);
    expect(log.text).not.toContain('stolen');
    const path = `${CORE}/pods/there/exec?command=id&stdout=1`;
    const spdy = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };
    const exec = await handshake(path, 'admin', spdy);
    expect(exec.status).not.toBe(101);
    expect(exec.headers.location).toBeUndefined();
    // A WebSocket is told by its error channel.
    await handshake(path, 'admin');
    await eventually('all have been asked', async () => kubelet.requests.length >= 3);
    expect(kubelet.requests.some(({ path }) => path.startsWith('/stolen'))).toBe(false);
  });

  it.each([
    `${CORE}/pods/there/exec?command=id&stdout=1`,
    `${CORE}/pods/there/attach?stdout=1`,
    `${CORE}/pods/there/portforward?ports=80`,
    `${API}/nodes/redirecting/proxy/exec/default/there/c?command=id&output=1`,
    `${API}/nodes/redirecting/proxy/x/..//exec/default/there/c?command=id&output=1`,
    `${API}/nodes/redirecting/proxy/%65xec/default/there/c?command=id&output=1`,
  ])('nodes/proxy GET to exec: the right to get is no right to run commands: %s', async (path) => {
    await eventually('the role counts', async () => {
      const answer = await handshake(`${API}/nodes/redirecting/proxy/pods`, 'reader', {});
      return answer.status !== 403;
    });
    const asked = kubelet.requests.length;
    const answer = await handshake(path, 'reader');
    expect(answer.status).toBe(403);
    expect(answer.text).toMatch(/cannot create resource \\?"(pods|nodes)\/\w+/);
    expect(kubelet.requests).toHaveLength(asked);
  });

  it('nodes/proxy GET to exec: nor without a handshake', async () => {
    for (const door of ['run', 'exec', '%3f/../run', './/run']) {
      const path = `${API}/nodes/redirecting/proxy/${door}/default/there/c?cmd=id`;
      expect((await handshake(path, 'reader', {})).status).toBe(403);
    }
  });
});

const WEBSOCKET = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-protocol': 'v5.channel.k8s.io',
};

/** A GET as a browser begins a WebSocket with it, the path as it is. */
function handshake(path: string, who: 'admin' | 'reader', headers: object = WEBSOCKET) {
  const token = who === 'admin' ? 'admin-token' : 'reader-token';
  return new Promise<{ status: number; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const { hostname, port } = new URL(server.url);
      const asked = httpsRequest({
        ...{ hostname, port, path, rejectUnauthorized: false, agent: false },
        headers: { ...headers, authorization: `Bearer ${token}` },
      });
      asked.on('upgrade', (res, socket) => {
        socket.destroy();
        resolve({ status: res.statusCode ?? 0, headers: res.headers, text: '' });
      });
      asked.on('response', (res) => {
        let text = '';
        res.on('data', (chunk) => {
          text += chunk;
        });
        res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text }));
      });
      asked.on('error', reject);
      asked.end();
    },
  );
}

describe('bodies', () => {
  it('CVE-2019-11253: a YAML bomb costs its sender more than us', async () => {
    const lines = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let i = 1; i < 12; i++) {
      const [now, before] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)];
      lines.push(`${now}: &${now} [${Array(9).fill(`*${before}`).join(',')}]`);
    }
    const body = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n${lines.join('\n')}\n`;
    // Unfolded it would take for ever, and all memory.
    const answer = await server.request('POST', `${CORE}/configmaps`, {
      body,
      type: 'application/yaml',
    });
    expect(answer.status).toBe(400);
  });

  it('CVE-2019-11253: nor does JSON that is nested without end', async () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    const body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":${deep}}`;
    const answer = await server.request('POST', `${CORE}/configmaps`, { body });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect((await server.request('GET', '/livez')).status).toBe(200);
  });
});

describe('custom resources', () => {
  const crd = (plural: string, scope: string) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: 'example.com',
      scope,
      names: {
        plural,
        singular: plural.slice(0, -1),
        kind: plural.slice(0, -1),
        listKind: `${plural}list`,
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          },
        },
      ],
    },
  });

  it('CVE-2019-11247, CVE-2022-3162: are not reached through another scope or another kind', async () => {
    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await create(crds, crd('wides', 'Cluster'));
    await create(crds, crd('narrows', 'Namespaced'));
    const base = '/apis/example.com/v1';
    await eventually('they are served', async () => {
      const one = await server.request('GET', `${base}/wides`);
      return one.status === 200 && (await server.request('GET', `${base}/narrows`)).status === 200;
    });
    const object = { apiVersion: 'example.com/v1', kind: 'wide', metadata: { name: 'w' } };
    await create(`${base}/wides`, object);
    expect((await server.request('GET', `${base}/namespaces/default/wides/w`)).status).toBe(404);
    expect((await server.request('GET', `${base}/namespaces/default/wides`)).status).toBe(404);
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    await create(`${rbac}/roles`, {
      apiVersion,
      kind: 'Role',
      metadata: { name: 'narrow' },
      rules: [{ apiGroups: ['example.com'], resources: ['narrows'], verbs: ['*'] }],
    });
    await create(`${rbac}/rolebindings`, {
      apiVersion,
      kind: 'RoleBinding',
      metadata: { name: 'narrow' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'narrow' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'mallory' }],
    });
    const mallory = await server.as({ name: 'mallory', groups: ['system:authenticated'] });
    await eventually('mallory has her own', async () => {
      const { status } = await mallory('GET', `${base}/namespaces/default/narrows`);
      return status === 200;
    });
    for (const path of [
      'narrows/..%2Fwides%2Fw',
      'narrows/../wides/w',
      'wides/w',
      'narrows%2F..%2Fwides',
    ]) {
      const answer = await mallory('GET', `${base}/namespaces/default/${path}`);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.body?.metadata?.name).toBeUndefined();
    }
  });
});

describe('objects', () => {
  it('CVE-2023-2431: a Localhost seccomp profile has a name', async () => {
    for (const localhostProfile of [undefined, '']) {
      const securityContext = { seccompProfile: { type: 'Localhost', localhostProfile } };
      const answer = await server.request('POST', `${CORE}/pods`, {
        body: pod('unnamed', { securityContext }),
      });
      expect(answer.status).toBe(422);
    }
  });

  it('CVE-2020-8554: addresses of others are refused where that is switched on', async () => {
    const service = (externalIPs: string[]) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ext' },
      spec: { ports: [{ port: 80 }], externalIPs },
    });
    const refused = await server.request('POST', `${CORE}/services`, {
      body: service(['1.2.3.4']),
    });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('Use of external IPs is denied by admission control');
    expect((await server.request('POST', `${CORE}/services`, { body: service([]) })).status).toBe(
      201,
    );
  });

  it('path traversal: names stay names', async () => {
    for (const name of ['..', '.', 'a%2Fb', '..%2f..%2fetc', '%2e%2e']) {
      const answer = await server.request('GET', `${CORE}/configmaps/${name}`);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      const body = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: decodeURIComponent(name) },
      };
      expect((await server.request('POST', `${CORE}/configmaps`, { body })).status).toBe(422);
    }
  });
});

describe('__proto__', () => {
  const map = `${CORE}/configmaps/polluted`;
  const json = (body: string) => ({ body, type: 'application/json-patch+json' });
  const apply = (body: string) => ({ body, type: 'application/apply-patch+yaml' });
  const EVIL = '{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}';

  it.each([
    ['JSON patch: add', '', json('[{"op":"add","path":"/__proto__/polluted","value":"yes"}]')],
    [
      'JSON patch: deep',
      '',
      json('[{"op":"add","path":"/data/__proto__/polluted","value":"yes"}]'),
    ],
    [
      'JSON patch: copy',
      '',
      json('[{"op":"copy","from":"/metadata","path":"/constructor/prototype/polluted"}]'),
    ],
    ['JSON patch: value', '', json(`[{"op":"add","path":"/data","value":${EVIL}}]`)],
    ['merge patch', '', { body: EVIL, type: 'application/merge-patch+json' }],
    ['merge patch: deep', '', { body: `{"data":${EVIL}}`, type: 'application/merge-patch+json' }],
    ['strategic patch', '', { body: EVIL, type: 'application/strategic-merge-patch+json' }],
    [
      'strategic patch: deep',
      '',
      { body: `{"metadata":{"labels":${EVIL}}}`, type: 'application/strategic-merge-patch+json' },
    ],
    [
      'apply',
      '?fieldManager=m&force=true',
      apply(
        `{"apiVersion":"v1","kind":"ConfigMap","data":{"__proto__":"yes"},"__proto__":{"x":1}}`,
      ),
    ],
    [
      'apply: YAML',
      '?fieldManager=m&force=true',
      apply('apiVersion: v1\nkind: ConfigMap\n__proto__: {polluted: "yes"}\ndata: {a: b}\n'),
    ],
  ])('in a patch is a name like others: %s', async (_, query, options) => {
    await server.request('DELETE', map);
    await create(`${CORE}/configmaps`, {
      ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'polluted' }, data: { a: 'b' } },
    });
    const { status } = await server.request('PATCH', map + query, options);
    expect(status).toBeLessThan(500);
    // The server runs in this process: what it did to all objects would be seen here.
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect((Object.prototype as { x?: unknown }).x).toBeUndefined();
    const { body } = await server.request('GET', map);
    expect(body.polluted).toBeUndefined();
    expect(Object.keys(body).sort()).toEqual(
      expect.arrayContaining(['apiVersion', 'kind', 'metadata']),
    );
    const after = await server.request('GET', '/livez');
    expect(after.status).toBe(200);
  });
});

describe('tokens', () => {
  const tokenOf = async (spec: object): Promise<string> => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
    return (await create(`${CORE}/serviceaccounts/default/token`, body)).status.token;
  };
  const isKnown = async (token: string): Promise<boolean> => {
    const answer = await create('/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token },
    });
    return answer.status.authenticated;
  };

  it('token for another audience: is worth nothing here', async () => {
    expect(await isKnown(await tokenOf({}))).toBe(true);
    expect(await isKnown(await tokenOf({ audiences: ['vault'] }))).toBe(false);
  });

  it('token of a deleted Pod: is worth nothing anywhere', async () => {
    const { metadata } = await create(
      `${CORE}/pods`,
      pod('bound', { serviceAccountName: 'default' }),
    );
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'bound', uid: metadata.uid };
    const token = await tokenOf({ boundObjectRef });
    expect(await isKnown(token)).toBe(true);
    await server.request('DELETE', `${CORE}/pods/bound?gracePeriodSeconds=0`);
    await eventually('it is forgotten', async () => !(await isKnown(token)));
  });
});

describe('connections', () => {
  it('CVE-2023-44487: streams that are reset at once do not stop the server', async () => {
    const session = connectH2(server.url, { rejectUnauthorized: false });
    session.on('error', () => {});
    for (let i = 0; i < 3000 && !session.destroyed; i++) {
      const stream = session.request({ ':path': '/livez' });
      stream.on('error', () => {});
      stream.close(8);
    }
    expect((await server.request('GET', '/livez')).status).toBe(200);
    session.destroy();
  });

  it('request smuggling: a body with two lengths is no request', async () => {
    const { hostname, port } = new URL(server.url);
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connectTls({
        host: hostname,
        port: Number(port),
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
      });
      let all = '';
      socket.on('data', (chunk) => {
        all += chunk;
      });
      socket.on('close', () => resolve(all));
      socket.on('error', reject);
      socket.write(
        'POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n',
      );
    });
    expect(text).toContain('400');
    expect(text).not.toContain('gitVersion');
  });
});
