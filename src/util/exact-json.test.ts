import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { fitting, parseJson } from './exact-json.ts';

describe('parseJson', () => {
  it.each([
    '9007199254740993',
    '-9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
    '[1,{"a":9007199254740993,"b":"9007199254740993"}]',
    '{"__proto__":{"a":9007199254740993}}',
  ])('gives %s back as it was written', (text) => {
    expect(JSON.stringify(parseJson(text))).toBe(text);
  });

  it('keeps small whole numbers and fractions numbers', () => {
    const text = '[1,9007199254740991,0.1234567890123456789,1e20,-0]';
    expect(parseJson(text)).toStrictEqual([1, 9007199254740991, 0.12345678901234568, 1e20, -0]);
  });

  it('rounds what 64 bits cannot hold', () => {
    expect(parseJson('9223372036854775808')).toBe(2 ** 63);
  });

  it('finds a long number wherever it stands, and is not led astray by long texts of digits', () => {
    for (let before = 0; before < 40; before++) {
      const text = `{"${'a'.repeat(before)}":9007199254740993}`;
      expect(JSON.stringify(parseJson(text))).toBe(text);
    }
    const digits = `["${'1'.repeat(1_000_000)}",1]`;
    expect(parseJson(digits)).toEqual(JSON.parse(digits));
  });

  it('holds each whole number of 64 bits in one form only', () => {
    const whole = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(whole, (one) => {
        const held = parseJson(one.toString());
        expect(held).toBe(fitting(one));
        expect(JSON.stringify(held)).toBe(one.toString());
      }),
    );
  });

  it('agrees with JSON.parse where nothing is rounded', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(JSON.stringify(parseJson(text))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });
});
