import { nameCheck, pathSegmentName } from '../../../api/names.ts';
import { CERTIFICATE_SIGNING_REQUESTS } from '../../../api/system-resource-types.ts';
import type { CertificateSigningRequest } from '../../../api/types.ts';
import type { Strategy, WriteContext } from '../../resource-kind.ts';
import { age, humanDuration } from '../cells.ts';
import {
  AGE_COLUMN,
  column,
  defineKind,
  NAME_COLUMN,
  statusSubresource,
  viewSubresource,
} from '../kind.ts';
import { keepAllButStatus, keepStatus, withoutStatus } from '../status.ts';
import { validateConditionsUpdate, validateCsr, validateStatusUpdate } from './validation.ts';

type Csr = CertificateSigningRequest;
const DECISIONS = new Set(['Approved', 'Denied']);

function statusText({ status }: Csr): string {
  const has = (type: string) => status?.conditions?.some((c) => c.type === type) ?? false;
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return `${decision}${has('Failed') ? ',Failed' : ''}${status?.certificate ? ',Issued' : ''}`;
}

/** Who asks is what authentication says, never what the request says. */
function fillRequestor(csr: Csr, { user }: WriteContext): void {
  csr.spec.username = user.name;
  csr.spec.groups = [...user.groups];
  if (user.uid) csr.spec.uid = user.uid;
  else delete csr.spec.uid;
  if (user.extra && Object.keys(user.extra).length > 0) {
    csr.spec.extra = Object.fromEntries(
      Object.entries(user.extra).map(([key, values]) => [key, [...values]]),
    );
  } else delete csr.spec.extra;
}

/** Conditions that the update brings keep the time of those that it leaves as they were. */
function stampConditions(csr: Csr, old: Csr, now: number): void {
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  const before = new Map((old.status?.conditions ?? []).map((c) => [c.type, c]));
  for (const condition of csr.status?.conditions ?? []) {
    condition.lastUpdateTime ??= time;
    const known = before.get(condition.type);
    const same = known?.status === condition.status ? known.lastTransitionTime : undefined;
    condition.lastTransitionTime ??= same ?? time;
  }
}

type Condition = NonNullable<NonNullable<Csr['status']>['conditions']>[number];

function setConditions(csr: Csr, conditions: readonly Condition[]): void {
  csr.status = { ...csr.status };
  if (conditions.length > 0) csr.status.conditions = [...conditions];
  else delete csr.status.conditions;
}

const main: Strategy<Csr> = {
  default(csr) {
    if (!csr.spec.usages?.length) csr.spec.usages = ['digital signature', 'key encipherment'];
  },
  validateName: nameCheck(pathSegmentName),
  validate: validateCsr,
  prepareForCreate(csr, context) {
    fillRequestor(csr, context);
    withoutStatus(csr);
  },
  prepareForUpdate(csr, old) {
    csr.spec = structuredClone(old.spec);
    keepStatus(csr, old);
  },
};

const status: Strategy<Csr> = {
  prepareForUpdate(csr, old, context) {
    const conditions = csr.status?.conditions ?? [];
    keepAllButStatus(csr, old);
    // The signer may not decide: it keeps what `approval` said. One that is new or missing is for validation to refuse.
    const decided = new Map((old.status?.conditions ?? []).map((c) => [c.type, c]));
    const kept = (c: Condition) => (DECISIONS.has(c.type) && decided.get(c.type)) || c;
    setConditions(csr, conditions.map(kept));
    stampConditions(csr, old, context.now);
  },
  validateUpdate: validateStatusUpdate,
};

const approval: Strategy<Csr> = {
  prepareForUpdate(csr, old, context) {
    const conditions = csr.status?.conditions ?? [];
    keepAllButStatus(csr, old);
    csr.status = structuredClone(old.status ?? {});
    setConditions(csr, conditions);
    stampConditions(csr, old, context.now);
  },
  validateUpdate: validateConditionsUpdate,
};

export const certificateSigningRequestKind = defineKind<Csr>({
  type: CERTIFICATE_SIGNING_REQUESTS,
  shortNames: ['csr'],
  strategy: main,
  subresources: { approval: viewSubresource(approval), status: statusSubresource(status) },
  columns: [
    NAME_COLUMN,
    AGE_COLUMN,
    column('SignerName', 'Who should sign it.'),
    column('Requestor', 'Who asked for it.'),
    column('RequestedDuration', 'How long it should be good for.'),
    column('Condition', 'Whether it was approved, denied, issued.'),
  ],
  row: (csr, now) => [
    csr.metadata.name,
    age(csr.metadata.creationTimestamp, now),
    csr.spec.signerName || '<none>',
    csr.spec.username ?? '',
    csr.spec.expirationSeconds === undefined ? '<none>' : humanDuration(csr.spec.expirationSeconds),
    statusText(csr),
  ],
  fieldsOf: (csr) => ({ 'spec.signerName': csr.spec?.signerName ?? '' }),
});
