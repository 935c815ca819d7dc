import { describe, expect, it } from 'vitest';
import { builtinSchema } from '../../../api/builtin-schema.ts';
import { KindRegistry } from '../../kind-registry.ts';
import { builtinKinds } from '../../resources/registry.ts';
import { typeWarnings } from './type-check.ts';

const deps = { kinds: new KindRegistry(builtinKinds()), schema: builtinSchema() };

function warnings(expression: string, rule: object = {}): string[] {
  const resourceRules = [
    { apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'], ...rule },
  ];
  const spec = {
    paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
    matchConstraints: { resourceRules },
    variables: [
      { name: 'replicas', expression: 'object.spec.replicas' },
      { name: 'more', expression: 'variables.replicas + 1' },
    ],
    validations: [{ expression }],
  };
  return typeWarnings(spec as never, deps).map(({ warning }) => warning);
}

describe('typeWarnings', () => {
  it.each([
    'object.spec.replicas > 1 && variables.more > 2',
    'oldObject == null || object.spec.replicas >= oldObject.spec.replicas',
    "has(object.metadata.labels) && object.metadata.labels['a'] == 'b'",
    "object.spec.template.spec.containers.all(c, c.image.startsWith('x'))",
    "object.metadata.?labels[?'x'].orValue('') == ''",
    "authorizer.group('').resource('pods').check('get').allowed()",
    "params == null || params.data['max'] == '3'",
    'object.spec.strategy.rollingUpdate.maxSurge == 1',
    "request.userInfo.username == 'x' && namespaceObject.metadata.name == 'y'",
  ])('finds nothing wrong with %s', (expression) => expect(warnings(expression)).toEqual([]));

  it('draws the place of a field that the kind does not have', () => {
    expect(warnings('object.spec.maxRetries > 10')).toEqual([
      "apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:13: undefined field 'maxRetries'\n | object.spec.maxRetries > 10\n | ............^\n",
    ]);
  });

  it.each([
    ["object.spec.replicas > '1'", "'_>_' applied to '(int, string)'"],
    ['variables.missing', "undefined field 'missing'"],
    ["variables.more == 'x'", "'(int, string)'"],
    ['params.spec.max == 3', "undefined field 'spec'"],
    ['object.spec.template.spec.containers.exists(c, c.foo == 1)', "undefined field 'foo'"],
  ])('warns of %s', (expression, warning) => {
    expect(warnings(expression)).toEqual([expect.stringContaining(warning)]);
  });

  it('tells each kind that a rule names, and none where a rule is about anything', () => {
    const expression = 'object.spec.minReadySeconds > 1';
    const [both = ''] = warnings(expression, {
      resources: ['statefulsets', 'controllerrevisions'],
    });
    expect(both).toContain('apps/v1, Kind=ControllerRevision: ');
    expect(both).not.toContain('StatefulSet');
    expect(warnings('object.foo', { resources: ['*'] })).toEqual([]);
  });

  it('survives kinds whose structure holds itself', () => {
    const rule = {
      apiGroups: ['apiextensions.k8s.io'],
      resources: ['customresourcedefinitions'],
    };
    const schema = 'object.spec.versions[0].schema.openAPIV3Schema';
    expect(warnings(`${schema}.type == 'object'`, rule)).toEqual([]);
    expect(warnings(`${schema}.nope == 1`, rule)).toHaveLength(1);
  });
});
