import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { feasibleNodesToFind } from './cycle.ts';

describe('feasibleNodesToFind', () => {
  it.each([
    [50, 0, 50],
    [100, 0, 100],
    [1000, 0, 420],
    [5000, 0, 500],
    [15_000, 0, 750],
    [1000, 10, 100],
    [1000, 100, 1000],
  ])('of %i nodes at %i percent finds %i', (nodes, percentage, wanted) => {
    expect(feasibleNodesToFind(nodes, percentage)).toBe(wanted);
  });

  it('never asks for more nodes than there are', () => {
    fc.assert(
      fc.property(fc.nat(20_000), fc.nat(100), (nodes, percentage) => {
        expect(feasibleNodesToFind(nodes, percentage)).toBeLessThanOrEqual(nodes);
      }),
    );
  });
});
