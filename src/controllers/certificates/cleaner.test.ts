import { describe, expect, it } from 'vitest';
import type { CertificateSigningRequest } from '../../api/types.ts';
import { endOf } from './cleaner-controller.ts';

const HOUR = 3_600_000;
const MADE = Date.UTC(2026, 0, 1);

describe('endOf a certificate request', () => {
  const at = (hours: number) => new Date(MADE + hours * HOUR).toISOString();
  const condition = (type: string, hours: number) => ({ type, lastUpdateTime: at(hours) });
  it.each<[string, number, object]>([
    ['undecided: after a day', 24, {}],
    ['approved, not signed: as undecided', 24, { conditions: [condition('Approved', 2)] }],
    ['denied: an hour later', 3, { conditions: [condition('Denied', 2)] }],
    [
      'approved, then failed: an hour after the first of it',
      3,
      { conditions: [condition('Approved', 2), condition('Failed', 4)] },
    ],
    [
      'signed: an hour after the decision, also where nobody can read the certificate',
      3,
      { conditions: [condition('Approved', 2)], certificate: 'eA==' },
    ],
  ])('%s', (_, hours, status) => {
    const csr = { metadata: { creationTimestamp: at(0) }, status };
    expect((endOf(csr as unknown as CertificateSigningRequest) - MADE) / HOUR).toBe(hours);
  });
});
