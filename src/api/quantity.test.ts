import { describe, expect, test } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  milliValue,
  parseQuantity,
  subtractQuantities,
  wholeValue,
} from './quantity.ts';

describe('canonical form', () => {
  test.each([
    ['1024Mi', '1Gi'],
    ['0.5', '500m'],
    ['1.5Gi', '1536Mi'],
    ['.5Gi', '512Mi'],
    ['2000', '2k'],
    ['1500', '1500'],
    ['1000m', '1'],
    ['0.1m', '100u'],
    ['12e6', '12e6'],
    ['1E', '1E'],
    ['1Ei', '1Ei'],
    ['-1', '-1'],
    ['+3', '3'],
    ['0', '0'],
    ['0.0000000001', '1n'],
    ['128974848', '128974848'],
    [2, '2'],
    [0.25, '250m'],
  ])('%s is %s', (text, canonical) => expect(canonicalQuantity(text)).toBe(canonical));

  test.each(['', '.', 'abc', '1KiB', '1 Gi', '--1', '1.2.3', '1'.repeat(100)])(
    '%j is refused as no quantity',
    (text) => expect(() => parseQuantity(text)).toThrow(/match the regular expression|suffix/),
  );

  test('an unknown suffix is named as the trouble', () => {
    expect(() => parseQuantity('1Mm')).toThrow("unable to parse quantity's suffix");
  });

  test('what is too large for 64 bits is capped', () => {
    expect(formatQuantity(parseQuantity('100Ei'))).toBe('9223372036854775807');
  });
});

const quantities = fc
  .tuple(
    fc.integer({ min: -1_000_000, max: 1_000_000 }),
    fc.constantFrom('', 'm', 'u', 'n', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'e-3'),
  )
  .map(([number, suffix]) => `${number}${suffix}`);

describe('laws', () => {
  test('the canonical form means the same and is its own canonical form', () => {
    fc.assert(
      fc.property(quantities, (text) => {
        const canonical = canonicalQuantity(text);
        expect(parseQuantity(canonical).nanos).toBe(parseQuantity(text).nanos);
        expect(canonicalQuantity(canonical)).toBe(canonical);
      }),
    );
  });

  test('subtraction undoes addition, and comparison is the sign of the difference', () => {
    fc.assert(
      fc.property(quantities, quantities, (left, right) => {
        const [a, b] = [parseQuantity(left), parseQuantity(right)];
        expect(subtractQuantities(addQuantities(a, b), b).nanos).toBe(a.nanos);
        const difference = a.nanos - b.nanos;
        expect(Math.sign(compareQuantities(a, b))).toBe(
          difference > 0n ? 1 : difference < 0n ? -1 : 0,
        );
      }),
    );
  });
});

test('values in thousandths and in whole units are rounded up', () => {
  expect(milliValue(parseQuantity('1.5'))).toBe(1500);
  expect(milliValue(parseQuantity('100u'))).toBe(1);
  expect(wholeValue(parseQuantity('1500m'))).toBe(2);
  expect(wholeValue(parseQuantity('1Mi'))).toBe(1_048_576);
});
