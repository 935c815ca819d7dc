import { expect, it } from 'vitest';
import { confinement } from './confinement.ts';

it('confinement takes everything from who may take, and is nothing where it would be refused', () => {
  const status = (caps: string) => `Name:\tx\nCapEff:\t${caps}\nCapBnd:\t0\n`;
  expect(confinement(status('000001fffeffffff'))).toContain('--bounding-set=-all');
  expect(confinement(status('0000000000000000'))).toEqual([]);
  expect(confinement(status('00000000000000ff'))).toEqual([]);
});
