import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StorageError } from '../../src/storage/storage.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const REGISTRATION = '/apis/admissionregistration.k8s.io/v1';
const apiVersion = 'admissionregistration.k8s.io/v1';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const CONSTRAINTS = {
  resourceRules: [
    {
      apiGroups: ['apps'],
      apiVersions: ['v1'],
      operations: ['CREATE', 'UPDATE'],
      resources: ['deployments'],
    },
  ],
};

async function create(path: string, body: object) {
  const answer = await server.request('POST', path, { body });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body;
}

type Type = 'Validating' | 'Mutating';

async function policy(type: Type, name: string, spec: object, binding: object = {}) {
  const path = `${REGISTRATION}/${type.toLowerCase()}admissionpolic`;
  await create(`${path}ies`, {
    apiVersion,
    kind: `${type}AdmissionPolicy`,
    metadata: { name },
    spec: { matchConstraints: CONSTRAINTS, ...spec },
  });
  await create(`${path}ybindings`, {
    apiVersion,
    kind: `${type}AdmissionPolicyBinding`,
    metadata: { name: `${name}-binding` },
    spec: {
      policyName: name,
      ...(type === 'Validating' ? { validationActions: ['Deny'] } : {}),
      ...binding,
    },
  });
  return async () => {
    await server.request('DELETE', `${path}ybindings/${name}-binding`);
    await server.request('DELETE', `${path}ies/${name}`);
  };
}

const deployment = (name: string, replicas: number, labels: Record<string, string> = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, labels },
  spec: {
    replicas,
    selector: { matchLabels: { a: 'b' } },
    template: {
      metadata: { labels: { a: 'b' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    },
  },
});

const post = (body: object) => server.request('POST', `${DEPLOYMENTS}?dryRun=All`, { body });

describe('ValidatingAdmissionPolicy', () => {
  it('denies what its expressions do not hold for, in the words of upstream', async () => {
    const remove = await policy('Validating', 'small', {
      variables: [{ name: 'replicas', expression: 'object.spec.replicas' }],
      validations: [{ expression: 'variables.replicas <= 3' }],
    });
    expect((await post(deployment('a', 3))).status).toBe(201);
    const { status, body } = await post(deployment('a', 4));
    expect(status).toBe(422);
    expect(body).toMatchObject({
      reason: 'Invalid',
      message:
        "deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'small' with binding 'small-binding' denied request: failed expression: variables.replicas <= 3",
    });
    await remove();
    expect((await post(deployment('a', 4))).status).toBe(201);
  });

  it('makes its messages, and gives them their reason', async () => {
    const remove = await policy('Validating', 'spoken', {
      validations: [
        {
          expression: 'object.spec.replicas <= 3',
          messageExpression: "'too many: ' + string(object.spec.replicas)",
          reason: 'Forbidden',
        },
      ],
    });
    const { status, body } = await post(deployment('a', 9));
    expect(status).toBe(403);
    expect(body.message).toContain('denied request: too many: 9');
    await remove();
  });

  it('only warns where its binding says so', async () => {
    const spec = { validations: [{ expression: 'false', message: 'hm' }] };
    const remove = await policy('Validating', 'mild', spec, {
      validationActions: ['Warn', 'Audit'],
    });
    const { status, headers } = await post(deployment('a', 1));
    expect(status).toBe(201);
    expect(String(headers.warning)).toContain(
      "Validation failed for ValidatingAdmissionPolicy 'mild' with binding 'mild-binding': hm",
    );
    await remove();
  });

  it('takes parameters', async () => {
    await create('/api/v1/namespaces/default/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'limits' },
      data: { max: '2' },
    });
    const spec = {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: 'object.spec.replicas <= int(params.data.max)' }],
    };
    const ref = (name: string) => ({
      paramRef: { name, namespace: 'default', parameterNotFoundAction: 'Deny' },
    });
    const remove = await policy('Validating', 'params', spec, ref('limits'));
    expect((await post(deployment('a', 2))).status).toBe(201);
    expect((await post(deployment('a', 3))).status).toBe(422);
    await remove();
    const removeMissing = await policy('Validating', 'params', spec, ref('missing'));
    expect((await post(deployment('a', 2))).body.message).toContain('no params found');
    await removeMissing();
  });

  it('leaves out what its conditions and selectors leave out', async () => {
    const spec = {
      matchConditions: [{ name: 'not-me', expression: "request.userInfo.username != 'admin'" }],
      validations: [{ expression: 'false' }],
    };
    const remove = await policy('Validating', 'others', spec);
    expect((await post(deployment('a', 1))).status).toBe(201);
    await remove();
    const binding = {
      validationActions: ['Deny'],
      matchResources: { objectSelector: { matchLabels: { strict: 'yes' } } },
    };
    const never = { validations: [{ expression: 'false' }] };
    const removeStrict = await policy('Validating', 'strict', never, binding);
    expect((await post(deployment('a', 1))).status).toBe(201);
    expect((await post(deployment('a', 1, { strict: 'yes' }))).status).toBe(422);
    await removeStrict();
  });

  it('fails closed or open when an expression cannot be evaluated', async () => {
    const spec = (failurePolicy: string) => ({
      failurePolicy,
      validations: [{ expression: 'object.spec.nothing.here == 1' }],
    });
    const closed = await policy('Validating', 'closed', spec('Fail'));
    expect((await post(deployment('a', 1))).body.message).toContain('resulted in error');
    await closed();
    const open = await policy('Validating', 'open', spec('Ignore'));
    expect((await post(deployment('a', 1))).status).toBe(201);
    await open();
  });

  it('knows what the asker may do', async () => {
    const expression = (name: string) =>
      `authorizer.serviceAccount('default', '${name}').group('').resource('pods').check('get').allowed()`;
    const remove = await policy('Validating', 'rights', {
      validations: [
        { expression: `!${expression('nobody')}` },
        { expression: "authorizer.requestResource().check('create').allowed()" },
      ],
    });
    expect((await post(deployment('a', 1))).status).toBe(201);
    await remove();
  });

  it('that does not compile is refused', async () => {
    const body = {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'broken' },
      spec: {
        matchConstraints: CONSTRAINTS,
        validations: [{ expression: 'object.spec.replicas <=' }],
      },
    };
    const answer = await server.request('POST', `${REGISTRATION}/validatingadmissionpolicies`, {
      body,
    });
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain('compilation failed');
    const spec = { ...body.spec, validations: [{ expression: 'variables.none > 1' }] };
    const unknown = await server.request('POST', `${REGISTRATION}/validatingadmissionpolicies`, {
      body: { ...body, spec },
    });
    expect(unknown.status).toBe(422);
    expect(unknown.body.message).toContain("undefined field 'none'");
  });

  it('tells in its status what is wrong with the types of its expressions, each time it changes', async () => {
    const path = `${REGISTRATION}/validatingadmissionpolicies/typed`;
    const remove = await policy('Validating', 'typed', {
      validations: [{ expression: 'object.spec.replicas > 1' }, { expression: 'object.spec.foo' }],
    });
    const checked = (generation: number) =>
      eventually('it is checked', async () => {
        const { status } = (await server.request('GET', path)).body;
        return status?.observedGeneration === generation && status;
      });
    const [warning, ...more] = (await checked(1)).typeChecking.expressionWarnings;
    expect(more).toEqual([]);
    expect(warning.fieldRef).toBe('spec.validations[1].expression');
    expect(warning.warning).toContain('apps/v1, Kind=Deployment: compilation failed: ERROR: ');
    expect(warning.warning).toContain("undefined field 'foo'");
    const body = { spec: { validations: [{ expression: 'object.spec.replicas > 1' }] } };
    expect((await server.request('PATCH', path, { body })).status).toBe(200);
    expect((await checked(2)).typeChecking).toEqual({});
    await remove();
  });
});

describe('the status of a ValidatingAdmissionPolicy', () => {
  it('is told a moment later where the store does not answer', async () => {
    const { storage } = server;
    const update = storage.update.bind(storage);
    let refusals = 0;
    storage.update = (key, ...rest) => {
      if (!key.includes('validatingadmissionpolicies') || refusals > 0) return update(key, ...rest);
      refusals++;
      return Promise.reject(new StorageError('unavailable', 'etcd: no leader'));
    };
    try {
      const remove = await policy('Validating', 'late', { validations: [{ expression: 'true' }] });
      await eventually('its types are checked', async () => {
        const path = `${REGISTRATION}/validatingadmissionpolicies/late`;
        return (await server.request('GET', path)).body.status?.observedGeneration === 1;
      });
      expect(refusals).toBe(1);
      await remove();
    } finally {
      storage.update = update;
    }
  });
});

describe('MutatingAdmissionPolicy', () => {
  it('merges what its expression answers', async () => {
    const remove = await policy('Mutating', 'labels', {
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression:
              'Object{metadata: Object.metadata{annotations: {"made-by": "policy"}}, spec: Object.spec{replicas: object.spec.replicas + 1}}',
          },
        },
      ],
    });
    const { body } = await post(deployment('a', 1, { kept: 'yes' }));
    expect(body.spec.replicas).toBe(2);
    expect(body.metadata.annotations).toEqual({ 'made-by': 'policy' });
    expect(body.metadata.labels).toEqual({ kept: 'yes' });
    expect(body.spec.template.spec.containers).toHaveLength(1);
    await remove();
  });

  it('patches by JSON patch', async () => {
    const remove = await policy('Mutating', 'patch', {
      reinvocationPolicy: 'IfNeeded',
      matchConditions: [{ name: 'new', expression: '!has(object.metadata.annotations)' }],
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression:
              '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/env"), value: "test"}]',
          },
        },
      ],
    });
    const { body } = await post(deployment('a', 1, { kept: 'yes' }));
    expect(body.metadata.labels).toEqual({ kept: 'yes', 'example.com/env': 'test' });
    await remove();
  });
});
