import { describe, expect, it } from 'vitest';
import { builtinSchema } from '../api/builtin-schema.ts';
import { decodeObject } from '../api/decode.ts';
import { decodeJson, decodeYaml } from '../api/encoding.ts';
import { fieldProblems } from './field-problems.ts';

const options = { schema: builtinSchema(), definition: 'io.k8s.api.core.v1.Pod' };
const found = (value: unknown) => ({ ...decodeObject(value, options), isCustom: false });

const TEXT = `{"metadata":{"name":"a","name":"b","other":1},
  "spec":{"unknown":{"a":1,"a":2},"unknown":{},"nodeName":"n","nodeName":"m",
    "containers":[{"name":"a"},{"name":"b","odd":1,"image":"i","image":"j"}]}}`;

describe('the problems with fields', () => {
  it('of JSON are told as they come, and nothing of what is within an unknown one', () => {
    const decoded = decodeJson(TEXT);
    expect(fieldProblems(decoded, found(decoded.value))?.warnings).toEqual([
      'duplicate field "metadata.name"',
      'unknown field "metadata.other"',
      'unknown field "spec.unknown"',
      'duplicate field "spec.nodeName"',
      'unknown field "spec.containers[1].odd"',
      'duplicate field "spec.containers[1].image"',
    ]);
  });

  it('of YAML are told line by line, then by path; as an error the lines are one', async () => {
    const text =
      'spec:\n  zone: 1\n  nodeName: a\n  nodeName: b\n  age: 1\n  age: 2\n  containers:\n  - {name: a, odd: 1}\n';
    const decoded = await decodeYaml(text);
    const unknown = [
      'unknown field "spec.age"',
      'unknown field "spec.containers[0].odd"',
      'unknown field "spec.zone"',
    ];
    const lines = [
      'line 4: key "nodeName" already set in map',
      'line 6: key "age" already set in map',
    ];
    expect(fieldProblems(decoded, found(decoded.value))).toEqual({
      warnings: [...lines, ...unknown],
      error: `strict decoding error: yaml: unmarshal errors:\n  ${lines.join('\n  ')}, ${unknown.join(', ')}`,
    });
  });

  it('of a patch are told before those of what it makes, which are told by path', () => {
    const value = {
      spec: { zone: 1, containers: [...Array(11)].map((_, i) => ({ [`a${i}`]: 1 })) },
    };
    const patch = ['duplicate field "spec.zone"'];
    const { warnings = [] } = fieldProblems({ duplicates: [] }, { ...found(value), patch }) ?? {};
    expect(warnings.slice(0, 4)).toEqual([
      ...patch,
      'unknown field "spec.containers[0].a0"',
      'unknown field "spec.containers[1].a1"',
      'unknown field "spec.containers[2].a2"',
    ]);
    expect(warnings.at(-1)).toBe('unknown field "spec.zone"');
  });

  it('are none where all is well', () => {
    expect(fieldProblems(decodeJson('{}'), found({}))).toBeUndefined();
  });
});
