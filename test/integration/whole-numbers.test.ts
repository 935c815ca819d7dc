import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

let server: TestApiServer;
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const METERS = '/apis/example.com/v1/namespaces/default/meters';
const BIG = '9007199254740993';
const BIGGER = '9007199254740995';

const INT64 = { type: 'integer', format: 'int64' };

beforeAll(async () => {
  server = await startApiServer();
  await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'default' } },
  });
  const spec = {
    type: 'object',
    properties: {
      count: INT64,
      start: { ...INT64, default: 'BIG' },
      counts: { type: 'array', 'x-kubernetes-list-type': 'set', items: INT64 },
      free: { 'x-kubernetes-preserve-unknown-fields': true },
    },
    'x-kubernetes-validations': [{ rule: 'self.count <= 9223372036854775000', message: 'full' }],
  };
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'meters.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'meters', kind: 'Meter' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
          selectableFields: [{ jsonPath: '.spec.count' }],
          additionalPrinterColumns: [{ name: 'Count', type: 'integer', jsonPath: '.spec.count' }],
        },
      ],
    },
  };
  const body = JSON.stringify(definition).replace('"BIG"', BIG);
  const { status, text } = await server.request('POST', CRDS, { body });
  expect(status, text).toBe(201);
  await eventually('meters are served', async () => {
    const { status } = await server.request('GET', METERS);
    return status === 200 || undefined;
  });
});
afterAll(() => server.stop());

function meter(name: string, spec: string): string {
  return `{"apiVersion":"example.com/v1","kind":"Meter","metadata":{"name":"${name}"},"spec":${spec}}`;
}

async function specOf(name: string): Promise<string> {
  const { text } = await server.request('GET', `${METERS}/${name}`);
  return /"spec":(\{.*\})/.exec(text)?.[1] ?? text;
}

describe('a whole number above 2^53', () => {
  it('comes back from a custom resource as it was written, and from its defaults', async () => {
    const body = meter('a', `{"count":${BIG},"free":{"deep":[${BIG}]}}`);
    const made = await server.request('POST', METERS, { body });
    expect(made.text).toContain(`"count":${BIG}`);
    const spec = await specOf('a');
    expect(spec).toContain(`"count":${BIG}`);
    expect(spec).toContain(`"start":${BIG}`);
    expect(spec).toContain(`"deep":[${BIG}]`);
  });

  it('is told apart from its neighbour by patches, tests of patches and updates', async () => {
    await server.request('POST', METERS, { body: meter('b', `{"count":${BIG}}`) });
    const merge = { body: `{"spec":{"count":${BIGGER}}}` };
    const { body } = await server.request('PATCH', `${METERS}/b`, merge);
    expect(body.metadata.generation).toBe(2);
    expect(await specOf('b')).toContain(`"count":${BIGGER}`);
    const json = (value: string) => ({
      type: 'application/json-patch+json',
      body: `[{"op":"test","path":"/spec/count","value":${value}},{"op":"replace","path":"/spec/count","value":${BIG}}]`,
    });
    expect((await server.request('PATCH', `${METERS}/b`, json('9007199254740994'))).status).toBe(
      422,
    );
    expect((await server.request('PATCH', `${METERS}/b`, json(BIGGER))).status).toBe(200);
    expect(await specOf('b')).toContain(`"count":${BIG}`);
  });

  it('is applied, owned and conflicted over exactly', async () => {
    const apply = (manager: string, spec: string) =>
      server.request('PATCH', `${METERS}/c?fieldManager=${manager}`, {
        type: 'application/apply-patch+yaml',
        body: `apiVersion: example.com/v1\nkind: Meter\nmetadata: {name: c}\nspec: ${spec}\n`,
      });
    const first = await apply('one', `{count: ${BIG}, counts: [${BIG}, ${BIGGER}]}`);
    expect(first.status, first.text).toBe(201);
    expect(first.text).toContain(`"v:${BIG}":{}`);
    expect((await apply('two', `{count: ${BIG}}`)).status).toBe(200);
    const conflict = await apply('two', `{count: ${BIGGER}}`);
    expect(conflict.body.details.causes).toMatchObject([{ field: '.spec.count' }]);
    await apply('one', `{count: ${BIG}, counts: [${BIGGER}]}`);
    expect(await specOf('c')).toContain(`"counts":[${BIGGER}]`);
  });

  it('is judged by rules, selected by fields and printed in tables, YAML and pretty JSON', async () => {
    const full = meter('d', '{"count":9223372036854775001}');
    expect((await server.request('POST', METERS, { body: full })).body.message).toContain('full');
    await server.request('POST', METERS, { body: meter('d', '{"count":9223372036854774999}') });
    const path = `${METERS}?fieldSelector=spec.count%3D9223372036854774999`;
    expect((await server.request('GET', path)).body.items).toHaveLength(1);
    for (const accept of ['application/yaml', 'application/json;as=Table;g=meta.k8s.io;v=v1']) {
      const { text } = await server.request('GET', path, { accept });
      expect(text).toContain('9223372036854774999');
    }
    const pretty = await server.request('GET', `${path}&pretty=1`);
    expect(pretty.text).toContain('"count": 9223372036854774999');
  });

  it('is kept in fields of built-in kinds, and refused where 32 bits are declared', async () => {
    const pod = (field: string) =>
      `{"metadata":{"name":"big"},"spec":{"nodeName":"n","containers":[{"name":"a","image":"b"}],${field}}}`;
    const path = '/api/v1/namespaces/default/pods';
    const made = await server.request('POST', path, {
      body: pod(`"terminationGracePeriodSeconds":${BIG}`),
    });
    expect(made.text).toContain(`"terminationGracePeriodSeconds":${BIG}`);
    expect((await server.request('DELETE', `${path}/big`)).status).toBe(200);
    const narrow = await server.request('POST', path, { body: pod(`"priority":${BIG}`) });
    expect(narrow.status).toBe(400);
    expect(narrow.body.message).toContain(
      `cannot unmarshal number ${BIG} into Go struct field PodSpec.spec.priority of type int32`,
    );
  });

  it('is judged by the limits of built-in kinds, whatever field of 64 bits it is put into', async () => {
    const job = `{"metadata":{"name":"j","generation":${BIG}},"spec":{"activeDeadlineSeconds":${BIG},"template":{"spec":{"restartPolicy":"Never","activeDeadlineSeconds":${BIG},"terminationGracePeriodSeconds":${BIG},"securityContext":{"runAsUser":${BIG},"fsGroup":${BIG}},"tolerations":[{"effect":"NoExecute","operator":"Exists","tolerationSeconds":${BIG}}],"containers":[{"name":"a","image":"b","livenessProbe":{"exec":{"command":["a"]},"terminationGracePeriodSeconds":${BIG}}}]}}}}`;
    const jobs = '/apis/batch/v1/namespaces/default/jobs';
    const { body, status: refused } = await server.request('POST', jobs, { body: job });
    expect(refused).toBe(422);
    expect(body.details.causes.map(({ field }: { field: string }) => field)).toContain(
      'spec.template.spec.activeDeadlineSeconds',
    );
  });

  it('is written as one, where integers are declared', async () => {
    const path = '/apis/apps/v1/namespaces/default/deployments?dryRun=All';
    const deployment = (replicas: string, surge = '1', more = '') =>
      `{"metadata":{"name":"w"},"spec":{"replicas":${replicas},"strategy":{"rollingUpdate":{"maxSurge":${surge}}},"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"securityContext":{"supplementalGroups":[1${more}]},"containers":[{"name":"a","image":"b:1.0"}]}}}}`;
    const answer = async (body: string) => (await server.request('POST', path, { body })).body;
    expect((await answer(deployment('1'))).kind).toBe('Deployment');
    for (const [body, why] of [
      [
        deployment('1.0'),
        'number 1.0 into Go struct field DeploymentSpec.spec.replicas of type int32',
      ],
      [
        deployment('1e0'),
        'number 1e0 into Go struct field DeploymentSpec.spec.replicas of type int32',
      ],
      [deployment('1', '1.0'), 'number 1.0 into Go value of type int32'],
      [
        deployment('1', '1', ', 2.0'),
        'spec.template.spec.securityContext.supplementalGroups of type int64',
      ],
    ] as const) {
      expect((await answer(body)).message).toContain(why);
    }
    const yaml = await server.request('POST', path, {
      ...{ type: 'application/yaml', body: deployment('1.0') },
    });
    expect(yaml.body.spec.replicas).toBe(1);
  });

  it('is one in what is patched, too, unless data is merged', async () => {
    const path = '/apis/apps/v1/namespaces/default/deployments/p';
    const labels = { a: 'b' };
    const template = {
      metadata: { labels },
      spec: { containers: [{ name: 'a', image: 'b:1.0' }] },
    };
    const body = { metadata: { name: 'p' }, spec: { selector: { matchLabels: labels }, template } };
    await server.request('POST', path.slice(0, -2), { body });
    const patch = async (type: string, text: string, view = '') =>
      (await server.request('PATCH', `${path}${view}`, { type: `application/${type}`, body: text }))
        .body;
    const refused = ['number 1.0 into Go struct field', 'of type int32'];
    const json = (value: string, more = '') =>
      `[{"op":"replace","path":"/spec/replicas","value":${value}}${more}]`;
    const surge = '{"spec":{"strategy":{"rollingUpdate":{"maxSurge":1.0}}}}';
    for (const answer of [
      await patch('merge-patch+json', '{"spec":{"replicas":1.0}}'),
      await patch('merge-patch+json', '{"spec":{"replicas":1.0}}', '/scale'),
      await patch('json-patch+json', json('1.0')),
      await patch('json-patch+json', json('1.0'), '/scale'),
      await patch(
        'json-patch+json',
        json(
          '7',
          ',{"op":"add","path":"/x","value":1.0},{"op":"move","from":"/x","path":"/spec/replicas"}',
        ),
      ),
    ]) {
      expect(answer).toMatchObject({ code: 422, details: { causes: [{ field: 'patch' }] } });
      for (const words of refused) expect(answer.message).toContain(words);
    }
    expect((await patch('merge-patch+json', surge)).message).toContain(
      'number 1.0 into Go value of type int32',
    );
    // The last word counts, and a test is of the text.
    const settled = ',{"op":"replace","path":"/spec/replicas","value":2}';
    expect((await patch('json-patch+json', json('1.0', settled))).spec.replicas).toBe(2);
    const test = '[{"op":"test","path":"/spec/replicas","value":2.0}]';
    expect((await patch('json-patch+json', test)).message).toContain('testing value');
    const strategic = await patch('strategic-merge-patch+json', '{"spec":{"replicas":3.0}}');
    expect(strategic.spec.replicas).toBe(3);
  });
});
