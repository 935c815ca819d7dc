import { describe, expect, it } from 'vitest';
import { CpuRates } from './cpu-rates.ts';

const SECOND = 1e9;

describe('CpuRates', () => {
  it('needs two readings, and tells the use between the last two', () => {
    const rates = new CpuRates();
    expect(rates.rate('c', 0, 0)).toBeUndefined();
    expect(rates.rate('c', 10 * SECOND, 5 * SECOND)).toBe(0.5e9);
    expect(rates.rate('c', 20 * SECOND, 5 * SECOND)).toBe(0);
  });

  it('answers the same to somebody who asks again at once', () => {
    const rates = new CpuRates();
    rates.rate('c', 0, 0);
    rates.rate('c', 10 * SECOND, 5 * SECOND);
    expect(rates.rate('c', 10 * SECOND + 1000, 5 * SECOND + 1000)).toBe(0.5e9);
  });

  it('begins anew after a restart and after a long silence', () => {
    const rates = new CpuRates();
    rates.rate('c', 0, 7 * SECOND);
    expect(rates.rate('c', SECOND, SECOND)).toBeUndefined();
    expect(rates.rate('c', 1000 * SECOND, 2 * SECOND)).toBeUndefined();
    rates.keep(new Set());
    expect(rates.rate('c', 1001 * SECOND, 3 * SECOND)).toBeUndefined();
  });
});
