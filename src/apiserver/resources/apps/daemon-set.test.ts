import { expect, test } from 'vitest';
import type { DaemonSet } from '../../../api/types.ts';
import { daemonSetKind } from './daemon-set.ts';

const context = { user: { name: 'u', groups: [] }, dryRun: false, now: 0, warn: () => {} };
const COUNT = 'deprecated.daemonset.template.generation';
const { strategy, subresources } = daemonSetKind;

function setOf(image: string, annotations?: Record<string, string>): DaemonSet {
  const spec = { template: { spec: { containers: [{ name: 'app', image }] } }, minReadySeconds: 0 };
  return { metadata: { name: 'd', ...(annotations && { annotations }) }, spec } as never;
}

/** What is stored for it. */
function created(image: string, annotations?: Record<string, string>): DaemonSet {
  const set = setOf(image, annotations);
  strategy.prepareForCreate?.(set, context);
  return set;
}

function updated(to: DaemonSet, from: DaemonSet, sub?: 'status'): string | undefined {
  const view = sub ? subresources[sub] : undefined;
  const written = view?.type === 'view' ? view.strategy : strategy;
  written.prepareForUpdate?.(to, from, context);
  return to.metadata.annotations?.[COUNT];
}

test('the templates of a DaemonSet are counted, from where its creator says', () => {
  expect(created('v1').metadata.annotations).toEqual({ [COUNT]: '1' });
  expect(created('v1', { a: 'b', [COUNT]: '999' }).metadata.annotations).toEqual({
    a: 'b',
    [COUNT]: '999',
  });
  expect(created('v1', { [COUNT]: 'many' }).metadata.annotations).toEqual({ [COUNT]: '1' });
});

test('another template counts, another spec does not, and nobody else writes the count', () => {
  const from = created('v1', { [COUNT]: '7' });
  expect(updated(setOf('v2'), from)).toBe('8');
  expect(updated(setOf('v1', { [COUNT]: '2' }), from)).toBe('7');
  const slower = setOf('v1');
  Object.assign(slower.spec ?? {}, { minReadySeconds: 5 });
  expect(updated(slower, from)).toBe('7');
  expect(updated(setOf('v2'), from, 'status')).toBe('7');
});
