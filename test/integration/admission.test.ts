import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const API = '/api/v1';
const create = async (path: string, body: object) => {
  const answer = await server.request('POST', path, { body });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body;
};

/** A namespace with the account that Pods need. */
async function namespace(name: string, labels: Record<string, string> = {}): Promise<string> {
  await create(`${API}/namespaces`, {
    kind: 'Namespace',
    apiVersion: 'v1',
    metadata: { name, labels },
  });
  const path = `${API}/namespaces/${name}`;
  await create(`${path}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  });
  return path;
}

const pod = (name: string, container: object = {}, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i', ...container }], ...spec },
});

describe('LimitRanger', () => {
  it('fills in what containers leave out, and says so', async () => {
    const ns = await namespace('limits');
    await create(`${ns}/limitranges`, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'l' },
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: '500m', memory: '500Mi' },
            defaultRequest: { cpu: '100m', memory: '200Mi' },
            max: { cpu: '500m', memory: '500Mi' },
            min: { cpu: '50m', memory: '100Mi' },
          },
        ],
      },
    });
    const filled = await create(`${ns}/pods`, pod('a'));
    expect(filled.spec.containers[0].resources).toEqual({
      requests: { cpu: '100m', memory: '200Mi' },
      limits: { cpu: '500m', memory: '500Mi' },
    });
    expect(filled.metadata.annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c',
    );
    const partial = await create(
      `${ns}/pods`,
      pod('b', { resources: { requests: { cpu: '300m' }, limits: { cpu: '300m' } } }),
    );
    expect(partial.spec.containers[0].resources).toEqual({
      requests: { cpu: '300m', memory: '200Mi' },
      limits: { cpu: '300m', memory: '500Mi' },
    });
    const { status, body } = await server.request('POST', `${ns}/pods`, {
      body: pod('c', { resources: { requests: { cpu: '10m' }, limits: { cpu: '600m' } } }),
    });
    expect(status).toBe(403);
    expect(body.message).toBe(
      'pods "c" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, maximum cpu usage per Container is 500m, but limit is 600m]',
    );
  });
});

describe('ResourceQuota', () => {
  const quota = (name: string, spec: object) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name },
    spec,
  });

  /** What the quota controller does when a quota is new. */
  async function counted(
    ns: string,
    name: string,
    hard: Record<string, string>,
    more: object = {},
  ) {
    await create(`${ns}/resourcequotas`, quota(name, { hard, ...more }));
    const used = Object.fromEntries(Object.keys(hard).map((key) => [key, '0']));
    await server.request('PATCH', `${ns}/resourcequotas/${name}/status`, {
      body: { status: { hard, used } },
    });
  }

  it('charges what is made and refuses what is too much', async () => {
    const ns = await namespace('quota');
    await counted(ns, 'q', { pods: '2', 'requests.cpu': '1', configmaps: '1' });
    const asking = (name: string, cpu: string) => pod(name, { resources: { requests: { cpu } } });
    await create(`${ns}/pods`, asking('a', '600m'));
    const refused = await server.request('POST', `${ns}/pods`, { body: asking('b', '600m') });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toBe(
      'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1',
    );
    const silent = await server.request('POST', `${ns}/pods`, { body: pod('c') });
    expect(silent.body.message).toBe(
      'pods "c" is forbidden: failed quota: q: must specify requests.cpu for: c',
    );
    const { body } = await server.request('GET', `${ns}/resourcequotas/q`);
    expect(body.status.used).toEqual({ pods: '1', 'requests.cpu': '600m', configmaps: '0' });
  });

  it('is never exceeded, however many ask at once', async () => {
    const ns = await namespace('race');
    await counted(ns, 'q', { configmaps: '5', 'count/configmaps': '5' });
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        server.request('POST', `${ns}/configmaps`, {
          body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `m${i}` } },
        }),
      ),
    );
    expect(made.filter(({ status }) => status === 201)).toHaveLength(5);
    expect(made.filter(({ status }) => status === 403)).toHaveLength(35);
    const { items } = (await server.request('GET', `${ns}/configmaps`)).body;
    expect(items).toHaveLength(5);
    const { body } = await server.request('GET', `${ns}/resourcequotas/q`);
    expect(body.status.used).toEqual({ configmaps: '5', 'count/configmaps': '5' });
  });

  it('looks at its scopes, and takes nothing back from one quota that another refused', async () => {
    const ns = await namespace('scopes');
    await counted(ns, 'a-all', { pods: '10' });
    await counted(ns, 'best', { pods: '1' }, { scopes: ['BestEffort'] });
    await create(`${ns}/pods`, pod('a'));
    expect((await server.request('POST', `${ns}/pods`, { body: pod('b') })).status).toBe(403);
    await create(`${ns}/pods`, pod('c', { resources: { requests: { cpu: '1' } } }));
    const { body } = await server.request('GET', `${ns}/resourcequotas/a-all`);
    expect(body.status.used).toEqual({ pods: '2' });
  });
});

describe('PodSecurity', () => {
  const strict = {
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };

  it('enforces the level of the namespace in the words of upstream', async () => {
    const ns = await namespace('restricted', {
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
    const { status, body } = await server.request('POST', `${ns}/pods`, {
      body: pod('a', { securityContext: { privileged: true } }, { hostNetwork: true }),
    });
    expect(status).toBe(403);
    expect(body.message).toBe(
      'pods "a" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true), privileged (container "c" must not set securityContext.privileged=true), allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
    await create(`${ns}/pods`, pod('b', strict));
  });

  it('CVE-2023-2727: ephemeral containers are no way around it', async () => {
    const ns = `${API}/namespaces/restricted`;
    const added = await server.request('PATCH', `${ns}/pods/b/ephemeralcontainers`, {
      type: 'application/strategic-merge-patch+json',
      body: { spec: { ephemeralContainers: [{ name: 'debug', image: 'i' }] } },
    });
    expect(added.status).toBe(403);
    expect(added.body.message).toContain('violates PodSecurity "restricted:latest"');
  });

  it('warns of Pods and of templates that would be refused', async () => {
    const ns = await namespace('warned', { 'pod-security.kubernetes.io/warn': 'baseline' });
    const spec = { hostPID: true };
    const made = await server.request('POST', `${ns}/pods`, { body: pod('a', {}, spec) });
    expect(made.status).toBe(201);
    expect(String(made.headers.warning)).toContain(
      'would violate PodSecurity \\"baseline:latest\\": host namespaces (hostPID=true)',
    );
    const { metadata: _, ...template } = pod('x', {}, spec);
    const deployment = await server.request('POST', '/apis/apps/v1/namespaces/warned/deployments', {
      body: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'd' },
        spec: {
          selector: { matchLabels: { a: 'b' } },
          template: { metadata: { labels: { a: 'b' } }, spec: template.spec },
        },
      },
    });
    expect(deployment.status).toBe(201);
    expect(String(deployment.headers.warning)).toContain('host namespaces');
  });

  it('refuses labels that make no sense, and names the Pods that a stricter level would refuse', async () => {
    await namespace('labels');
    const path = `${API}/namespaces/labels`;
    const wrong = await server.request('PATCH', path, {
      body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'strict' } } },
    });
    expect(wrong.status).toBe(422);
    await create(`${path}/pods`, pod('loose'));
    const stricter = await server.request('PATCH', path, {
      body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
    });
    expect(stricter.status).toBe(200);
    expect(String(stricter.headers.warning)).toContain('loose: allowPrivilegeEscalation != false');
  });
});

describe('defaults of classes', () => {
  it('give claims and Ingresses the newest default class', async () => {
    const ns = await namespace('classes');
    await create('/apis/storage.k8s.io/v1/storageclasses', {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: 'fast',
        annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
      },
      provisioner: 'example.com/x',
    });
    await create('/apis/networking.k8s.io/v1/ingressclasses', {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'IngressClass',
      metadata: {
        name: 'edge',
        annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' },
      },
      spec: { controller: 'example.com/edge' },
    });
    const claim = await create(`${ns}/persistentvolumeclaims`, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'c' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    expect(claim.spec.storageClassName).toBe('fast');
    const ingress = await create('/apis/networking.k8s.io/v1/namespaces/classes/ingresses', {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'i' },
      spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } },
    });
    expect(ingress.spec.ingressClassName).toBe('edge');
  });
});

describe('RuntimeClass', () => {
  it('gives a Pod its overhead and where it may run', async () => {
    const ns = await namespace('runtime');
    await create('/apis/node.k8s.io/v1/runtimeclasses', {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'vm' },
      handler: 'vm',
      overhead: { podFixed: { cpu: '10m' } },
      scheduling: { nodeSelector: { vm: 'yes' } },
    });
    const made = await create(`${ns}/pods`, pod('a', {}, { runtimeClassName: 'vm' }));
    expect(made.spec).toMatchObject({ overhead: { cpu: '10m' }, nodeSelector: { vm: 'yes' } });
    const unknown = pod('b', {}, { runtimeClassName: 'none' });
    const refused = await server.request('POST', `${ns}/pods`, { body: unknown });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('RuntimeClass "none" not found');
  });
});

describe('NodeRestriction', () => {
  it('lets a kubelet change its own node alone, and there not what others rely on', async () => {
    const kubelet = await server.as({
      name: 'system:node:n1',
      groups: ['system:nodes', 'system:authenticated'],
    });
    const node = (name: string, labels = {}) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels },
    });
    const reserved = node('n1', { 'node-restriction.kubernetes.io/team': 'a' });
    expect((await kubelet('POST', `${API}/nodes`, { body: reserved })).status).toBe(403);
    expect((await kubelet('POST', `${API}/nodes`, { body: node('n2') })).status).toBe(403);
    const made = await kubelet('POST', `${API}/nodes`, {
      body: node('n1', { 'kubernetes.io/hostname': 'n1' }),
    });
    expect(made.status).toBe(201);
    expect(made.body.spec.taints).toEqual([
      { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' },
    ]);
    const change = (body: object) => kubelet('PATCH', `${API}/nodes/n1`, { body });
    expect((await change({ metadata: { labels: { mine: 'x' } } })).status).toBe(200);
    const label = { 'node-role.kubernetes.io/control-plane': '' };
    const refused = await change({ metadata: { labels: label } });
    expect(refused.body.message).toBe(
      'nodes "n1" is forbidden: is not allowed to modify labels: node-role.kubernetes.io/control-plane',
    );
    expect((await change({ spec: { taints: [] } })).status).toBe(403);
  });

  it('CVE-2025-5187: a node gives itself no owner', async () => {
    const kubelet = await server.as({
      name: 'system:node:n1',
      groups: ['system:nodes', 'system:authenticated'],
    });
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'y' };
    const { status, body } = await kubelet('PATCH', `${API}/nodes/n1`, {
      body: { metadata: { ownerReferences: [owner] } },
    });
    expect(status).toBe(403);
    expect(body.message).toContain('is not allowed to modify ownerReferences');
  });

  it('lets it make mirror Pods of its own alone', async () => {
    const ns = await namespace('mirror');
    const kubelet = await server.as({
      name: 'system:node:n1',
      groups: ['system:nodes', 'system:authenticated'],
    });
    const plain = await kubelet('POST', `${ns}/pods`, { body: pod('a', {}, { nodeName: 'n1' }) });
    expect(plain.body.message).toContain('can only create mirror pods');
    await create(`${ns}/pods`, pod('other', {}, { nodeName: 'n2' }));
    const path = `${ns}/pods/other`;
    expect((await kubelet('DELETE', path)).status).toBe(403);
    expect((await kubelet('PATCH', `${path}/status`, { body: { status: {} } })).status).toBe(403);
    await create(`${ns}/pods`, pod('own', {}, { nodeName: 'n1' }));
    await eventually('its own', async () => {
      const body = { status: { reason: 'x' } };
      return (await kubelet('PATCH', `${ns}/pods/own/status`, { body })).status === 200;
    });
  });
});

describe('certificate requests', () => {
  it('are not for the group that may do everything', async () => {
    const { createSigningRequest } = await import('../../src/pki/csr.ts');
    const { generateKeyPair } = await import('../../src/pki/keys.ts');
    const { privateKey } = await generateKeyPair();
    const request = (organizations: string[]) =>
      createSigningRequest(privateKey, { commonName: 'x', organizations });
    const post = async (name: string, pem: string) =>
      server.request('POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests', {
        body: {
          apiVersion: 'certificates.k8s.io/v1',
          kind: 'CertificateSigningRequest',
          metadata: { name },
          spec: {
            request: Buffer.from(pem).toString('base64'),
            signerName: 'kubernetes.io/kube-apiserver-client',
            usages: ['client auth'],
          },
        },
      });
    expect((await post('ok', await request(['team']))).status).toBe(201);
    const refused = await post('bad', await request(['system:masters']));
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('system:masters group is not allowed');
  });
});

describe('NamespaceLifecycle', () => {
  it('makes nothing in a namespace that is not there or is going, and keeps the system ones', async () => {
    const missing = await server.request('POST', `${API}/namespaces/nowhere/pods`, {
      body: pod('p'),
    });
    expect(missing.status).toBe(404);
    expect(missing.body.message).toBe('namespaces "nowhere" not found');
    const path = await namespace('going');
    await server.request('DELETE', path);
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'late' } };
    const late = await server.request('POST', `${path}/configmaps`, { body: map });
    expect(late.status).toBe(403);
    expect(late.body.message).toContain(
      'unable to create new content in namespace going because it is being terminated',
    );
    expect(late.body.details.causes[0].reason).toBe('NamespaceTerminating');
    const system = await server.request('DELETE', `${API}/namespaces/kube-system`);
    expect(system.status).toBe(403);
  });
});

describe('TaintNodesByCondition', () => {
  it('lets no Pods onto a node before it was seen ready', async () => {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'fresh' } };
    const { spec } = await create(`${API}/nodes`, node);
    expect(spec.taints).toEqual([{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
  });
});

describe('Priority and DefaultTolerationSeconds', () => {
  it('give a Pod what its class says, and five minutes on a lost node', async () => {
    const path = await namespace('priorities');
    await create('/apis/scheduling.k8s.io/v1/priorityclasses', {
      ...{ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', value: 77 },
      ...{ metadata: { name: 'high' }, preemptionPolicy: 'Never' },
    });
    const made = await eventually('the class is known', async () => {
      const body = pod('high', {}, { priorityClassName: 'high' });
      const answer = await server.request('POST', `${path}/pods`, { body });
      return answer.status === 201 && answer.body;
    });
    expect(made.spec).toMatchObject({ priority: 77, preemptionPolicy: 'Never' });
    const lost = (key: string) => ({
      ...{ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    });
    expect(made.spec.tolerations).toEqual([
      lost('node.kubernetes.io/not-ready'),
      lost('node.kubernetes.io/unreachable'),
    ]);
    const own = { key: 'own', operator: 'Equal', value: 'x', effect: 'NoSchedule' };
    const changed = await server.request('PUT', `${path}/pods/high`, {
      body: { ...made, spec: { ...made.spec, tolerations: [own] } },
    });
    expect(changed.body.spec?.tolerations, changed.text).toEqual([
      ...[own, lost('node.kubernetes.io/not-ready'), lost('node.kubernetes.io/unreachable')],
    ]);
    const refused = async (spec: object) =>
      (await server.request('POST', `${path}/pods`, { body: pod('no', {}, spec) })).body.message;
    expect(await refused({ priorityClassName: 'none' })).toContain(
      'no PriorityClass with name none was found',
    );
    expect(await refused({ priority: 5 })).toContain(
      'the integer value of priority (5) must not be provided in pod spec',
    );
  });
});

describe('PersistentVolumeClaimResize and StorageObjectInUseProtection', () => {
  it('let a bound claim grow only by its class, and keep what is in use', async () => {
    const path = await namespace('claims');
    const resized: [string, number][] = [];
    for (const [name, allowVolumeExpansion] of [
      ['fixed', false],
      ['elastic', true],
    ] as const) {
      await create('/apis/storage.k8s.io/v1/storageclasses', {
        ...{ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name } },
        ...{ provisioner: 'example.com/p', allowVolumeExpansion },
      });
      const claim = await create(`${path}/persistentvolumeclaims`, {
        ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name } },
        spec: {
          ...{ storageClassName: name, accessModes: ['ReadWriteOnce'], volumeName: `v-${name}` },
          resources: { requests: { storage: '1Gi' } },
        },
      });
      expect(claim.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
      const own = `${path}/persistentvolumeclaims/${name}`;
      const status = { phase: 'Bound', capacity: { storage: '1Gi' } };
      await server.request('PATCH', `${own}/status`, { body: { status } });
      const body = { spec: { resources: { requests: { storage: '2Gi' } } } };
      resized.push([name, (await server.request('PATCH', own, { body })).status]);
    }
    expect(resized).toEqual([
      ['fixed', 403],
      ['elastic', 200],
    ]);
  });
});

describe('AlwaysPullImages', () => {
  it('asks the registry anew for every image, where it is switched on', async () => {
    const own = await startApiServer({ admission: { enable: ['AlwaysPullImages'] } });
    const path = `${API}/namespaces/default`;
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
    await own.request('POST', `${path}/serviceaccounts`, { body: account });
    const volumes = [{ name: 'v', image: { reference: 'r', pullPolicy: 'Never' } }];
    const body = pod(
      'p',
      { imagePullPolicy: 'IfNotPresent' },
      { volumes, initContainers: [{ name: 'i', image: 'i:1' }] },
    );
    const { spec } = (await own.request('POST', `${path}/pods`, { body })).body;
    expect(spec.containers[0].imagePullPolicy).toBe('Always');
    expect(spec.initContainers[0].imagePullPolicy).toBe('Always');
    expect(spec.volumes[0].image.pullPolicy).toBe('Always');
    await own.stop();
  });
});
