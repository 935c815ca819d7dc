import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiError } from '../../src/api/errors.ts';
import { CONFIG_MAPS, NODES, SECRETS } from '../../src/api/resource-types.ts';
import {
  CERTIFICATE_SIGNING_REQUESTS,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
} from '../../src/api/system-resource-types.ts';
import { loadKubeconfig } from '../../src/client/kubeconfig.ts';
import { RestClient } from '../../src/client/rest-client.ts';
import { kubeletAccess, rotateServingCertificate } from '../../src/kubelet/identity.ts';
import { readCertificate } from '../../src/pki/certificate.ts';
import { createSigningRequest } from '../../src/pki/csr.ts';
import { verifyDetached } from '../../src/pki/detached-jws.ts';
import { generateKeyPair } from '../../src/pki/keys.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ controllers: true });
});
afterAll(() => plane.stop());

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function token(id: string, more: Record<string, string> = {}) {
  const secret = `${id}${id}`.padEnd(16, '0');
  const data = {
    'token-id': id,
    'token-secret': secret,
    'usage-bootstrap-authentication': 'true',
    'usage-bootstrap-signing': 'true',
    'auth-extra-groups': 'system:bootstrappers:test',
    ...more,
  };
  await plane.client.create(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { namespace: 'kube-system', name: `bootstrap-token-${id}` },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])),
  });
  return { id, secret };
}

async function as(credentials: { token: string } | { certificate: string; key: string }) {
  const { certificate: _c, key: _k, ...access } = await loadKubeconfig(plane.kubeconfig);
  const own = Object.entries(credentials).map(([name, data]) => [name, { data }]);
  return new RestClient({ ...access, ...Object.fromEntries(own) });
}

async function bind(name: string, role: string, group: string) {
  await plane.client.create(CLUSTER_ROLE_BINDINGS, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }],
  });
}

const csr = (name: string, pem: string) => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { name },
  spec: {
    request: base64(pem),
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    usages: ['digital signature', 'client auth'],
  },
});

const issued = (name: string) =>
  eventually(`${name} is issued`, async () => {
    const found = await plane.client.get(CERTIFICATE_SIGNING_REQUESTS, { namespace: '', name });
    return found.status?.certificate ?? false;
  });

describe('a bootstrap token', () => {
  it('gets a new node its certificate, and the certificate gets the node its next one', async () => {
    await bind('bootstrappers', 'system:node-bootstrapper', 'system:bootstrappers:test');
    const approver = 'system:certificates.k8s.io:certificatesigningrequests';
    await bind('approve-new', `${approver}:nodeclient`, 'system:bootstrappers:test');
    await bind('approve-own', `${approver}:selfnodeclient`, 'system:nodes');
    const { id, secret } = await token('abcdef');
    const newcomer = await as({ token: `${id}.${secret}` });
    const { privateKey } = await generateKeyPair();
    const who = { commonName: 'system:node:n1', organizations: ['system:nodes'] };
    const pem = await createSigningRequest(privateKey, who);
    await newcomer.create(CERTIFICATE_SIGNING_REQUESTS, csr('first', pem));
    const certificate = Buffer.from(String(await issued('first')), 'base64').toString();
    const node = await as({ certificate, key: privateKey });
    const me = (await node.raw('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    })) as { status: { userInfo: { username: string; groups: string[] } } };
    expect(me.status.userInfo.username).toBe('system:node:n1');
    await node.create(CERTIFICATE_SIGNING_REQUESTS, csr('renewed', pem));
    await issued('renewed');
    newcomer.close();
    node.close();
  });

  it('is all that a kubelet needs to become a node that renews its own certificate', async () => {
    const { id, secret } = await token('kkkkkk');
    const directory = mkdtempSync(join(tmpdir(), 'k8ts-kubelet-'));
    const admin = await loadKubeconfig(plane.kubeconfig);
    const authority = admin.ca && 'data' in admin.ca ? admin.ca.data : '';
    const bootstrapKubeconfig = join(directory, 'bootstrap.conf');
    const cluster = { server: admin.server, 'certificate-authority-data': base64(authority) };
    const config = {
      clusters: [{ name: 'c', cluster }],
      users: [{ name: 'u', user: { token: `${id}.${secret}` } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    writeFileSync(bootstrapKubeconfig, JSON.stringify(config));
    const options = {
      ...{ kubeconfig: join(directory, 'kubelet.conf'), bootstrapKubeconfig },
      ...{ certDir: join(directory, 'pki'), nodeName: 'n7', names: ['n7', '10.0.0.7'] },
      ...{ rotates: true, userAgent: 'kubelet' },
    };
    const stop = new AbortController();
    const deps = { clock: realClock, log: silent };
    const access = await kubeletAccess(options, deps, stop.signal);
    const client = new RestClient(access);
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n7' } };
    await client.create(NODES, node);
    // The second start needs no token.
    rmSync(bootstrapKubeconfig);
    await kubeletAccess(options, deps, stop.signal);
    // Its serving certificate waits for a person.
    const served = Promise.withResolvers<{ certificate: string }>();
    const serving = { ...deps, client, onChange: served.resolve };
    const rotating = rotateServingCertificate(options, serving, stop.signal);
    const asked = await eventually('it asks', async () => {
      const { items } = await plane.client.list(CERTIFICATE_SIGNING_REQUESTS);
      return items.find(({ spec }) => spec.signerName === 'kubernetes.io/kubelet-serving') ?? false;
    });
    if (!asked) throw new Error('unreachable');
    const condition = { type: 'Approved', status: 'True', reason: 'Checked', message: '' };
    await plane.client.update(
      CERTIFICATE_SIGNING_REQUESTS,
      { ...asked, status: { conditions: [condition] } },
      { subresource: 'approval' },
    );
    const { names } = readCertificate((await served.promise).certificate);
    expect(names).toEqual(['n7', '10.0.0.7']);
    stop.abort();
    await rotating.catch(() => undefined);
    client.close();
    rmSync(directory, { recursive: true });
  });

  it('bootstrap token reuse after expiry: is refused, as with another secret or without its usage', async () => {
    const refused = async (text: string) => {
      const client = await as({ token: text });
      const answer = await client.raw('GET', '/version').catch((err: unknown) => err);
      client.close();
      return answer instanceof ApiError && answer.code === 401;
    };
    expect(await refused('abcdef.ffffffffffffffff')).toBe(true);
    const useless = await token('nnnnnn', { 'usage-bootstrap-authentication': 'false' });
    expect(await refused(`${useless.id}.${useless.secret}`)).toBe(true);
    const expiration = new Date(Date.now() - 1000).toISOString();
    const late = await token('eeeeee', { expiration });
    expect(await refused(`${late.id}.${late.secret}`)).toBe(true);
    await eventually('the expired one is deleted', async () => {
      const { items } = await plane.client.list(SECRETS, { namespace: 'kube-system' });
      return !items.some(({ metadata }) => metadata.name === 'bootstrap-token-eeeeee');
    });
  });

  it('signs the information about the cluster', async () => {
    const known = await token('ssssss');
    await plane.client.create(CONFIG_MAPS, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'kube-public', name: 'cluster-info' },
      data: { kubeconfig: 'clusters: []' },
    });
    const key = { namespace: 'kube-public', name: 'cluster-info' };
    const jws = await eventually('it is signed', async () => {
      const { data } = await plane.client.get(CONFIG_MAPS, key);
      return data?.['jws-kubeconfig-ssssss'] ?? false;
    });
    expect(verifyDetached('clusters: []', String(jws), known)).toBe(true);
    const name = 'bootstrap-token-ssssss';
    await plane.client.delete(SECRETS, { namespace: 'kube-system', name });
    await eventually('the signature goes with its token', async () => {
      const { data } = await plane.client.get(CONFIG_MAPS, key);
      return data?.['jws-kubeconfig-ssssss'] === undefined;
    });
  });
});

describe('certificate requests', () => {
  it('of a kubelet with other names are neither approved nor signed', async () => {
    const { privateKey } = await generateKeyPair();
    const who = {
      commonName: 'system:node:n2',
      organizations: ['system:nodes', 'system:masters'],
    };
    const pem = await createSigningRequest(privateKey, who);
    await plane.client.create(CERTIFICATE_SIGNING_REQUESTS, csr('greedy', pem));
    const made = await plane.client.get(CERTIFICATE_SIGNING_REQUESTS, {
      namespace: '',
      name: 'greedy',
    });
    const condition = { type: 'Approved', status: 'True', reason: 'Careless', message: '' };
    await plane.client.update(
      CERTIFICATE_SIGNING_REQUESTS,
      { ...made, status: { conditions: [condition] } },
      { subresource: 'approval' },
    );
    const failed = await eventually('the signer refuses', async () => {
      const key = { namespace: '', name: 'greedy' };
      const { status } = await plane.client.get(CERTIFICATE_SIGNING_REQUESTS, key);
      return status?.conditions?.find(({ type }) => type === 'Failed') ?? false;
    });
    expect(failed).toMatchObject({
      reason: 'SignerValidationFailure',
      message: 'subject organization is not system:nodes',
    });
  });
});

describe('the signers', () => {
  const key = (name: string) => ({ namespace: '', name });
  /** A request of this administrator's, for another signer than that of kubelets. */
  async function ask(name: string, signerName: string, usages: string[]) {
    const { privateKey } = await generateKeyPair();
    const pem = await createSigningRequest(privateKey, { commonName: name, organizations: ['g'] });
    const request = csr(name, pem);
    return plane.client.create(CERTIFICATE_SIGNING_REQUESTS, {
      ...request,
      spec: { ...request.spec, signerName, usages },
    });
  }
  async function judge(name: string, type: 'Approved' | 'Denied'): Promise<void> {
    const made = await plane.client.get(CERTIFICATE_SIGNING_REQUESTS, key(name));
    const condition = { type, status: 'True', reason: 'Test', message: '' };
    const status = { ...made.status, conditions: [condition] };
    const options = { subresource: 'approval' };
    await plane.client.update(CERTIFICATE_SIGNING_REQUESTS, { ...made, status }, options);
  }

  it('kube-apiserver-client signs what somebody has approved, and nothing before', async () => {
    const signer = 'kube-apiserver-client';
    const usages = ['digital signature', 'key encipherment', 'client auth'];
    await ask(`by-${signer}`, `kubernetes.io/${signer}`, usages);
    await ask(`denied-${signer}`, `kubernetes.io/${signer}`, usages);
    await judge(`denied-${signer}`, 'Denied');
    const before = await plane.client.get(CERTIFICATE_SIGNING_REQUESTS, key(`by-${signer}`));
    expect(before.status?.conditions ?? []).toEqual([]);
    await judge(`by-${signer}`, 'Approved');
    const pem = Buffer.from(String(await issued(`by-${signer}`)), 'base64').toString();
    expect(readCertificate(pem)).toMatchObject({
      commonName: `by-${signer}`,
      organizations: ['g'],
    });
    const denied = await plane.client.get(CERTIFICATE_SIGNING_REQUESTS, key(`denied-${signer}`));
    expect(denied.status?.certificate).toBeUndefined();
  });

  it('legacy-unknown is not for this version of requests', async () => {
    const refusal = await ask('old', 'kubernetes.io/legacy-unknown', ['server auth']).catch(String);
    expect(refusal).toContain('the legacy signerName is not allowed via this API version');
  });

  it('a signed client certificate is somebody to the API server', async () => {
    const { privateKey } = await generateKeyPair();
    const pem = await createSigningRequest(privateKey, { commonName: 'dora', organizations: [] });
    const request = csr('dora', pem);
    await plane.client.create(CERTIFICATE_SIGNING_REQUESTS, {
      ...request,
      spec: { ...request.spec, signerName: 'kubernetes.io/kube-apiserver-client' },
    });
    await judge('dora', 'Approved');
    const certificate = Buffer.from(String(await issued('dora')), 'base64').toString();
    const dora = await as({ certificate, key: privateKey });
    const refusal = await dora.list(SECRETS).catch((err: unknown) => err);
    expect(String(refusal)).toContain('User "dora" cannot list resource "secrets"');
  });
});

describe('an aggregated role', () => {
  it('holds the rules of the roles that it selects', async () => {
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    const rule = { apiGroups: ['example.com'], resources: ['things'], verbs: ['get'] };
    await plane.client.create(CLUSTER_ROLES, {
      apiVersion,
      kind: 'ClusterRole',
      metadata: {
        name: 'things',
        labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' },
      },
      rules: [rule],
    });
    await eventually('view has it', async () => {
      const { rules } = await plane.client.get(CLUSTER_ROLES, { namespace: '', name: 'view' });
      return (rules ?? []).some(({ resources }) => resources?.includes('things'));
    });
  });
});
