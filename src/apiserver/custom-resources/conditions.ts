import type { Crd } from './custom-kind.ts';

export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

type Status = NonNullable<Crd['status']>;
type Condition = NonNullable<Status['conditions']>[number];
type News = Pick<Condition, 'type' | 'status'> & { reason: string; message: string };

/** The status that a definition deserves beside the others that are served: accepted names, and whether it is established. */
export function conditionsOf(crd: Crd, others: readonly Crd[], now: string): Status {
  const conflict = nameConflict(crd, others);
  const accepted: News = conflict
    ? { type: 'NamesAccepted', status: 'False', ...conflict }
    : {
        type: 'NamesAccepted',
        status: 'True',
        reason: 'NoConflicts',
        message: 'no conflicts found',
      };
  const wasEstablished = crd.status?.conditions?.some(
    ({ type, status }) => type === 'Established' && status === 'True',
  );
  const established: News =
    conflict && !wasEstablished
      ? {
          type: 'Established',
          status: 'False',
          reason: 'NotAccepted',
          message: 'not all names are accepted',
        }
      : {
          type: 'Established',
          status: 'True',
          reason: 'InitialNamesAccepted',
          message: 'the initial names have been accepted',
        };
  const status = withCondition(
    { ...crd, status: withCondition(crd, now, accepted) },
    now,
    established,
  );
  return {
    ...status,
    acceptedNames: conflict
      ? (crd.status?.acceptedNames ?? { kind: '', plural: '' })
      : crd.spec.names,
  };
}

/** The status with one condition set; its time changes only with its status. */
export function withCondition(crd: Crd, now: string, news: News): Status {
  const conditions = [...(crd.status?.conditions ?? [])];
  const at = conditions.findIndex(({ type }) => type === news.type);
  const before = conditions[at];
  const changed = before?.status !== news.status;
  const next = {
    ...news,
    lastTransitionTime: changed ? now : (before?.lastTransitionTime ?? now),
  } as Condition;
  if (before === undefined) conditions.push(next);
  else conditions[at] = next;
  return { ...crd.status, storedVersions: crd.status?.storedVersions ?? [], conditions } as Status;
}

/** Which name another definition of the group already has. */
function nameConflict(
  crd: Crd,
  others: readonly Crd[],
): { reason: string; message: string } | undefined {
  const taken = others.filter(({ spec }) => spec.group === crd.spec.group);
  const resources = new Set(
    taken.flatMap(({ spec: { names } }) => [
      names.plural,
      names.singular,
      ...(names.shortNames ?? []),
    ]),
  );
  const kinds = new Set(taken.flatMap(({ spec: { names } }) => [names.kind, names.listKind]));
  const { names } = crd.spec;
  const asked: [string, string | undefined, ReadonlySet<string | undefined>][] = [
    ['PluralConflict', names.plural, resources],
    ['SingularConflict', names.singular, resources],
    ...(names.shortNames ?? []).map(
      (name) => ['ShortNamesConflict', name, resources] as [string, string, typeof resources],
    ),
    ['KindConflict', names.kind, kinds],
    ['ListKindConflict', names.listKind, kinds],
  ];
  // Upstream reports the last one that it finds.
  for (const [reason, name, among] of asked.toReversed()) {
    if (name && among.has(name))
      return { reason, message: `${JSON.stringify(name)} is already in use` };
  }
  return undefined;
}
