import { renameSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiProcess, startApiProcess } from '../support/api-process.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpsPeer, startHttpsPeer } from '../support/https-peer.ts';

// Who is let in and what they may do, by the files that the flags of a real process name.

let server: ApiProcess;
/** Issuer of tokens, and the server that is asked about tokens and rights. */
let peer: HttpsPeer;
let idToken: (claims: Record<string, unknown>) => Promise<string>;

interface Review {
  readonly apiVersion: string;
  // biome-ignore lint/suspicious/noExplicitAny: reviews of two kinds
  readonly spec: any;
}

/** Every token that is a word is known here, and everybody whose name begins with `allowed` may do all. */
function judged({ spec }: Review): object {
  if (spec.token === undefined) {
    return { allowed: spec.user === 'allowed', denied: spec.user === 'denied', reason: 'by peer' };
  }
  if (!/^\w+$/.test(spec.token)) return { authenticated: false, error: 'no word' };
  const user = {
    username: spec.token,
    uid: '7',
    groups: ['words'],
    extra: { 'example.com/k': ['v'] },
  };
  return { authenticated: true, user, audiences: spec.audiences };
}

/** What the peer was asked, by path. */
const asked = (path: string): Review[] =>
  peer.requests.filter((one) => one.path === path).map(({ text }) => JSON.parse(text));

beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
  peer = await startHttpsPeer(({ path, text }) => {
    const issuer = `https://localhost:${peer.port}`;
    if (path.endsWith('/openid-configuration')) {
      return { body: { issuer, jwks_uri: `${issuer}/keys` } };
    }
    if (path === '/keys') return { body: { keys: [jwk] } };
    if (path === '/audit') return { body: {} };
    return { body: { ...JSON.parse(text), status: judged(JSON.parse(text)) } };
  });
  idToken = (claims) =>
    new SignJWT({ aud: 'client', exp: Math.floor(Date.now() / 1000) + 60, ...claims })
      .setIssuer(`https://localhost:${peer.port}`)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(privateKey);
  server = await startApiProcess({ flags });
});
afterAll(async () => {
  await server?.stop();
  await peer?.close();
});

function flags(directory: string): string[] {
  const file = (name: string, content: object | string): string => {
    const path = join(directory, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const kubeconfig = (path: string) => ({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'peer',
        cluster: {
          server: `https://localhost:${peer.port}${path}`,
          'certificate-authority-data': peer.caBundle,
        },
      },
    ],
    users: [{ name: 'me', user: {} }],
    contexts: [{ name: 'peer', context: { cluster: 'peer', user: 'me' } }],
    'current-context': 'peer',
  });
  const webhook = {
    timeout: '3s',
    subjectAccessReviewVersion: 'v1',
    matchConditionSubjectAccessReviewVersion: 'v1',
    failurePolicy: 'Deny',
    connectionInfo: {
      type: 'KubeConfigFile',
      kubeConfigFile: file('rights.conf', kubeconfig('/rights')),
    },
    matchConditions: [{ expression: "request.user != 'unmatched'" }],
  };
  file(
    'pod-security.yaml',
    `
apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
defaults: {enforce: baseline, enforce-version: latest, warn: restricted, warn-version: v1.30}
exemptions: {usernames: [allowed], namespaces: [free], runtimeClasses: [vm]}
`,
  );
  return [
    '--authentication-token-webhook-config-file',
    file('tokens.conf', kubeconfig('/tokens')),
    '--authentication-token-webhook-version=v1',
    `--oidc-issuer-url=https://localhost:${peer.port}`,
    '--oidc-client-id=client',
    '--oidc-username-claim=email',
    '--oidc-username-prefix=oidc:',
    '--oidc-groups-claim=teams',
    '--oidc-groups-prefix=oidc:',
    '--oidc-ca-file',
    file('peer.crt', Buffer.from(peer.caBundle, 'base64').toString()),
    '--admission-control-config-file',
    file('admission.yaml', {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'AdmissionConfiguration',
      plugins: [{ name: 'PodSecurity', path: 'pod-security.yaml' }],
    }),
    '--audit-policy-file',
    file('policy.yaml', {
      apiVersion: 'audit.k8s.io/v1',
      kind: 'Policy',
      omitStages: ['RequestReceived'],
      rules: [{ level: 'Metadata' }],
    }),
    '--audit-webhook-config-file',
    file('audit.conf', kubeconfig('/audit')),
    '--audit-webhook-batch-max-wait=100ms',
    '--token-auth-file',
    file('tokens.csv', 'denied-token,denied,1\nunmatched-token,unmatched,2\n'),
    '--authorization-config',
    file('authorization.yaml', {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'AuthorizationConfiguration',
      authorizers: [
        { type: 'Webhook', name: 'peer', webhook },
        { type: 'Node', name: 'node' },
        { type: 'RBAC', name: 'rbac' },
      ],
    }),
  ];
}

interface Said {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever the server answers
  readonly body: any;
}

/** A request with nothing but a token. */
function by(token: string, method: string, path: string, body?: object): Promise<Said> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const options = { method, port: server.port, path, ca: server.tls.ca, headers };
    const sent = httpsRequest(options, (res) => {
      let all = '';
      res.on('data', (chunk) => {
        all += chunk;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body: JSON.parse(all) }));
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}

async function whoIs(token: string): Promise<unknown> {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  return (await by(token, 'POST', path, review)).body.status?.userInfo;
}

const PODS = '/api/v1/namespaces/default/pods';

describe('--authentication-token-webhook-config-file', () => {
  it('makes the users that the other server names', async () => {
    expect(await whoIs('allowed')).toEqual({
      username: 'allowed',
      uid: '7',
      groups: ['words', 'system:authenticated'],
      extra: { 'example.com/k': ['v'] },
    });
    expect(asked('/tokens')[0]).toMatchObject({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token: 'allowed' },
    });
  });

  it('refuses what it does not know, and asks only once', async () => {
    for (let i = 0; i < 3; i++) expect((await by('no-word', 'GET', PODS)).status).toBe(401);
    const questions = asked('/tokens').filter(({ spec }) => spec.token === 'no-word');
    expect(questions).toHaveLength(1);
  });

  it('answers TokenReviews too', async () => {
    const spec = { token: 'somebody' };
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec };
    const { text } = await server.send(
      'POST',
      '/apis/authentication.k8s.io/v1/tokenreviews',
      review,
    );
    expect(JSON.parse(text).status).toMatchObject({
      authenticated: true,
      user: { username: 'somebody' },
    });
  });
});

describe('--oidc-issuer-url', () => {
  it('maps claims as the other flags say', async () => {
    const claims = { email: 'a@example.com', email_verified: true, teams: ['dev'] };
    expect(await whoIs(await idToken(claims))).toMatchObject({
      username: 'oidc:a@example.com',
      groups: ['oidc:dev', 'system:authenticated'],
    });
    const unverified = { email: 'a@example.com', email_verified: false };
    expect(await whoIs(await idToken(unverified))).toBeUndefined();
    expect(await whoIs(await idToken({ ...claims, aud: 'another' }))).toBeUndefined();
  });
});

describe('--authorization-config', () => {
  it('asks its webhook first, and those behind it when that has no opinion', async () => {
    expect((await by('allowed', 'GET', `${PODS}?labelSelector=a%20in%20(x,y),!b`)).status).toBe(
      200,
    );
    const seen = asked('/rights').find(
      ({ spec }) => spec.user === 'allowed' && spec.resourceAttributes?.resource === 'pods',
    );
    expect(seen).toMatchObject({
      apiVersion: 'authorization.k8s.io/v1',
      spec: {
        groups: ['words', 'system:authenticated'],
        resourceAttributes: {
          verb: 'list',
          resource: 'pods',
          labelSelector: {
            requirements: [
              { key: 'a', operator: 'In', values: ['x', 'y'] },
              { key: 'b', operator: 'DoesNotExist' },
            ],
          },
        },
      },
    });
    const refused = await by('nobody', 'GET', PODS);
    expect(refused.status).toBe(403);
    expect(await whoIs('nobody')).toMatchObject({ username: 'nobody' }); // by RBAC
  });

  it('a refusal of the webhook is final', async () => {
    expect((await by('denied-token', 'GET', '/version')).status).toBe(403);
    expect((await by('unmatched-token', 'GET', '/version')).status).toBe(200);
    expect(asked('/rights').some(({ spec }) => spec.user === 'unmatched')).toBe(false);
  });

  it('is told the selectors that reviews ask with', async () => {
    const review = (spec: object) =>
      server.send('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user: 'allowed', ...spec },
      });
    const requirements = [{ key: 'spec.nodeName', operator: 'In', values: ['n'] }];
    const attributes = { verb: 'list', resource: 'configmaps' };
    const { text } = await review({
      resourceAttributes: { ...attributes, fieldSelector: { rawSelector: 'spec.nodeName=n' } },
    });
    expect(JSON.parse(text).status).toEqual({ allowed: true, reason: 'by peer' });
    const told = asked('/rights').map(({ spec }) => spec.resourceAttributes);
    expect(told).toContainEqual(
      expect.objectContaining({ resource: 'configmaps', fieldSelector: { requirements } }),
    );
    const both = { rawSelector: 'a=b', requirements };
    const wrong = await review({ resourceAttributes: { ...attributes, fieldSelector: both } });
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain('may not specified at the same time as requirements');
    const none = await review({ resourceAttributes: { ...attributes, labelSelector: {} } });
    expect(none.text).toContain('requirements or rawSelector is required');
  });
});

describe('--admission-control-config-file', () => {
  const privileged = (more: object = {}) => ({
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } },
    spec: {
      containers: [{ name: 'c', image: 'i', securityContext: { privileged: true } }],
      ...more,
    },
  });
  const post = async (namespace: string, body: object) => {
    const path = `/api/v1/namespaces/${namespace}`;
    await server.send('POST', `${path}/serviceaccounts`, {
      ...{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
    });
    return server.send('POST', `${path}/pods?dryRun=All`, body);
  };

  it('gives namespaces without labels a level, and spares who is exempt', async () => {
    const refused = await post('default', privileged());
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('violates PodSecurity \\"baseline:latest\\": privileged');
    for (const name of ['free', 'open']) {
      const labels = name === 'open' ? { 'pod-security.kubernetes.io/enforce': 'privileged' } : {};
      const metadata = { name, labels };
      await server.send('POST', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata,
      });
      expect((await post(name, privileged())).status).toBe(201);
    }
    const scheduling = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', handler: 'vm' };
    const metadata = { name: 'vm' };
    await server.send('POST', '/apis/node.k8s.io/v1/runtimeclasses', { ...scheduling, metadata });
    await eventually('the class is known', async () => {
      return (await post('default', privileged({ runtimeClassName: 'vm' }))).status === 201;
    });
    const byExempt = await by('allowed', 'POST', `${PODS}?dryRun=All`, privileged());
    expect(byExempt.status).toBe(201);
  });
});

describe('--audit-webhook-config-file', () => {
  it('sends what is recorded in lists', async () => {
    await by('audited', 'GET', PODS);
    const lists = () => peer.requests.filter(({ path }) => path === '/audit');
    const found = await eventually('it is recorded', () =>
      lists()
        .flatMap(({ text }) => JSON.parse(text).items)
        .find(({ user }) => user.username === 'audited'),
    );
    expect(found).toMatchObject({
      verb: 'list',
      stage: 'ResponseComplete',
      responseStatus: { code: 403 },
      annotations: { 'authorization.k8s.io/decision': 'forbid' },
    });
    expect(JSON.parse(lists()[0]?.text ?? '')).toMatchObject({
      apiVersion: 'audit.k8s.io/v1',
      kind: 'EventList',
    });
  });
});

describe('a changed configuration', () => {
  let live: ApiProcess;
  let directory = '';
  const issuer = () => ({
    issuer: {
      url: `https://localhost:${peer.port}`,
      audiences: ['client'],
      certificateAuthority: Buffer.from(peer.caBundle, 'base64').toString(),
    },
    claimMappings: { username: { claim: 'sub', prefix: 'first:' } },
  });
  const authentication = (more: object) => ({
    ...{ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', ...more },
  });
  const authorization = (...types: string[]) => ({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthorizationConfiguration',
    authorizers: types.map((type) => ({ type, name: type.toLowerCase() })),
  });
  /** As editors and volumes do: the file is there as a whole, or it is not. */
  const write = (name: string, content: object | string) => {
    const path = join(directory, name);
    writeFileSync(`${path}.new`, typeof content === 'string' ? content : JSON.stringify(content));
    renameSync(`${path}.new`, path);
    return path;
  };
  beforeAll(async () => {
    live = await startApiProcess({
      flags(own) {
        directory = own;
        return [
          ...['--authentication-config', write('n.yaml', authentication({ jwt: [issuer()] }))],
          ...['--authorization-config', write('z.yaml', authorization('RBAC'))],
        ];
      },
    });
  });
  afterAll(() => live?.stop());
  const get = (path: string, token?: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const sent = httpsRequest({ port: live.port, path, ca: live.tls.ca, headers }, (res) => {
        res.resume();
        resolve(res.statusCode ?? 0);
      });
      sent.on('error', reject).end();
    });
  const metric = async (what: string, name: string): Promise<string> => {
    const { text } = await live.send('GET', '/metrics');
    const lines = text.split('\n').filter((line) => line.startsWith(`apiserver_${what}_config_`));
    return lines.find((line) => line.includes(name)) ?? '';
  };
  const reloads = async (what: string, status: string): Promise<number> =>
    Number((await metric(what, `status="${status}"`)).split(' ')[1] ?? 0);

  it('of authentication counts without a restart', async () => {
    const token = await idToken({ sub: 'me' });
    expect(await get(PODS, token)).toBe(403);
    const first = await metric('authentication', 'last_config_info');
    expect(first).toMatch(/hash="sha256:[0-9a-f]{64}"/);
    const anonymous = { enabled: true, conditions: [{ path: '/livez' }] };
    write('n.yaml', authentication({ anonymous }));
    await eventually('the issuer is known no more', async () => (await get(PODS, token)) === 401);
    expect(await get('/livez')).toBe(200);
    expect(await get('/readyz')).toBe(401);
    expect(await reloads('authentication', 'success')).toBe(1);
    expect(await metric('authentication', 'last_config_info')).not.toBe(first);
    write('n.yaml', authentication({ jwt: [issuer()], anonymous }));
    await eventually('it is known again', async () => (await get(PODS, token)) === 403);
  });

  it('of authorization counts without a restart', async () => {
    const token = await idToken({ sub: 'me' });
    write('z.yaml', authorization('RBAC', 'AlwaysAllow'));
    await eventually('everybody may do all', async () => (await get(PODS, token)) === 200);
    write('z.yaml', authorization('RBAC'));
    await eventually('nobody may', async () => (await get(PODS, token)) === 403);
    expect(await reloads('authorization', 'success')).toBe(2);
  });

  it.each([
    ['that cannot be read', 'authorization', 'z.yaml', '{', 1],
    ['that makes no sense', 'authorization', 'z.yaml', () => authorization('ABAC'), 2],
    [
      'with what was not there at the start',
      'authorization',
      'z.yaml',
      () => authorization('Node'),
      3,
    ],
    ['that makes no sense', 'authentication', 'n.yaml', () => authentication({ jwt: [{}] }), 1],
  ])('%s leaves the %s before it in force, and is counted', async (...row) => {
    const [, what, file, content, count] = row;
    write(file, typeof content === 'string' ? content : content());
    await eventually(
      'the failure is counted',
      async () => (await reloads(what, 'failure')) === count,
    );
    expect(await get(PODS, await idToken({ sub: 'me' }))).toBe(403);
    expect(await get('/livez')).toBe(200);
  });
});

describe('flags that contradict each other', () => {
  it.each([
    [['--authorization-config=/x', '--authorization-mode=RBAC'], 'excludes --authorization-mode'],
    [['--authorization-mode=Webhook'], 'needs --authorization-webhook-config-file'],
    [['--oidc-issuer-url=https://x'], 'needs --oidc-client-id'],
    [['--admission-control-config-file=/dev/null'], 'must be an apiserver.config.k8s.io/v1'],
  ])('%s end the process', async (words, message) => {
    await expect(startApiProcess({ flags: () => words })).rejects.toThrow(message);
  });
});
