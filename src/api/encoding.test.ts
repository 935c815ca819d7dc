import { describe, expect, test } from 'vitest';
import { decodeJson, decodeYaml } from './encoding.ts';

describe('decodeJson', () => {
  test('tells keys that are there twice, with their path', () => {
    const { value, duplicates } = decodeJson('{"a":[{"b":1},{"b":1,"c":"\\"b\\":","b":2}],"a":3}');
    expect(value).toEqual({ a: 3 });
    expect(duplicates).toEqual(['duplicate field "a[1].b"', 'duplicate field "a"']);
  });

  test.each([
    ['{', 'unexpected end of JSON input'],
    ['', 'unexpected end of JSON input'],
    ['{"a":x}', "invalid character 'x' looking for beginning of value"],
    ['{"a":NaN}', "invalid character 'N' looking for beginning of value"],
    ['['.repeat(10_000), 'exceeded max depth'],
  ])('refuses a broken body (%#)', (text, message) =>
    expect(() => decodeJson(text)).toThrow(message),
  );
});

describe('decodeYaml', () => {
  test('reads the scalars that upstream reads', async () => {
    const { value } = await decodeYaml('a: yes\nb: 0644\nc: 2026-01-01\nd: "1"\ne: ~\nf: 1.5\n');
    expect(value).toEqual({ a: true, b: 420, c: '2026-01-01', d: '1', e: null, f: 1.5 });
  });

  test('tells duplicate keys', async () => {
    const { duplicates } = await decodeYaml('a: 1\nb:\n  c: 1\n  "c": 2\na: 3\n');
    expect(duplicates).toEqual([
      'line 4: key "c" already set in map',
      'line 5: key "a" already set in map',
    ]);
  });

  test('reads JSON as such: numbers of 64 bits and with exponents, keys and escapes of any kind', async () => {
    const text = '{"a":9007199254740993,"b":1e3,"__proto__":{"c":"\\u00e9\\/"},"<<":{"d":1}}';
    expect(await decodeYaml(text)).toEqual({
      value: JSON.parse(text, (key, value) => (key === 'a' ? 9007199254740993n : value)),
      duplicates: [],
      isYaml: true,
    });
  });

  test.each([
    ['{a: yes, b: [1, 2]}', { a: true, b: [1, 2] }, []],
    ['{"a": 1,}', { a: 1 }, []],
    ['{"a": 1, "a": 2}', { a: 2 }, ['line 1: key "a" already set in map']],
  ])('reads what only looks like JSON as YAML: %s', async (text, value, duplicates) => {
    expect(await decodeYaml(text)).toEqual({ value, duplicates, isYaml: true });
  });

  test('refuses an alias bomb quickly', async () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let i = 1; i < 12; i++) lines.push(`a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}*a${i - 1}]`);
    await expect(decodeYaml(lines.join('\n'))).rejects.toThrow(/alias/);
  });

  test('refuses broken text and deep nesting', async () => {
    await expect(decodeYaml('a: [1')).rejects.toThrow(/^error converting YAML to JSON: yaml: /);
    await expect(decodeYaml('['.repeat(10_000))).rejects.toThrow('exceeded max depth');
  });
});
