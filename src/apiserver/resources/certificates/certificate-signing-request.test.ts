import { expect, test } from 'vitest';
import type { CertificateSigningRequest } from '../../../api/types.ts';
import { certificateSigningRequestKind } from './certificate-signing-request.ts';

const context = { user: { name: 'u', groups: [] }, dryRun: false, now: 0, warn: () => {} };

function requestWith(...types: string[]): CertificateSigningRequest {
  const conditions = types.map((type) => ({
    type,
    status: 'True',
    lastUpdateTime: '2026-01-01T00:00:00Z',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }));
  return { metadata: { name: 'r' }, spec: {}, status: { conditions } } as never;
}

/** A write to `status`: the types of the conditions that are left, and what is wrong with it. */
function written(next: CertificateSigningRequest, old: CertificateSigningRequest) {
  const { status } = certificateSigningRequestKind.subresources;
  if (status?.type !== 'view') throw new Error('no status');
  status.strategy.prepareForUpdate?.(next, old, context);
  const errors = status.strategy.validateUpdate?.(next, old, context) ?? [];
  return { conditions: next.status?.conditions, errors: errors.map((e) => e.message) };
}

test('a signer adds its conditions where it likes, and decisions stay as they were', () => {
  const old = requestWith('Other', 'Approved');
  const next = requestWith('Other', 'Approved', 'StatusUpdate');
  Object.assign(next.status?.conditions?.[1] ?? {}, { reason: 'mine' });
  const { conditions, errors } = written(next, old);
  expect(errors).toEqual([]);
  expect(conditions?.map(({ type }) => type)).toEqual(['Other', 'Approved', 'StatusUpdate']);
  expect(conditions?.[1]).toEqual(old.status?.conditions?.[1]);
});

test('a signer can neither decide nor take a decision back', () => {
  expect(written(requestWith('Approved'), requestWith()).errors).toEqual([
    'Forbidden: updates may not add a condition of type "Approved"',
  ]);
  expect(written(requestWith('Failed'), requestWith('Denied')).errors).toEqual([
    'Forbidden: updates may not remove a condition of type "Denied"',
  ]);
});
