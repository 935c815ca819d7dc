import type { IncomingHttpHeaders } from 'node:http';
import { badRequest } from '../../api/errors.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import { forbidden } from '../forbidden.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';

const EXTRA = 'impersonate-extra-';
const SERVICE_ACCOUNT = 'system:serviceaccount:';

/**
 * Who the request is to be done as, by its Impersonate-… headers: `user` unless there are any. Every part of the
 * other identity needs the right to impersonate it; throws Forbidden without.
 */
export async function impersonated(
  user: UserInfo,
  headers: IncomingHttpHeaders,
  authorizers: readonly Authorizer[],
): Promise<UserInfo> {
  const asked = askedIdentity(headers);
  if (asked === undefined) return user;
  for (const info of rightsFor(asked)) {
    if (!(await isAllowed(user, info, authorizers))) throw forbidden(user, info, '');
  }
  const isAnonymous = asked.name === 'system:anonymous';
  const known = isAnonymous ? 'system:unauthenticated' : 'system:authenticated';
  const groups = [...asked.groups, ...serviceAccountGroups(asked)];
  return { ...asked, groups: groups.includes(known) ? groups : [...groups, known] };
}

function askedIdentity(headers: IncomingHttpHeaders): UserInfo | undefined {
  const names = Object.keys(headers).filter((name) => name.startsWith('impersonate-'));
  if (names.length === 0) return undefined;
  const name = headers['impersonate-user'];
  if (typeof name !== 'string' || name === '') {
    throw badRequest('requested impersonation without impersonating a user');
  }
  const extra = names.flatMap((header) =>
    header.startsWith(EXTRA)
      ? [[decodeURIComponent(header.slice(EXTRA.length)), values(headers[header])] as const]
      : [],
  );
  const uid = headers['impersonate-uid'];
  return {
    name,
    groups: values(headers['impersonate-group']),
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(extra.length > 0 ? { extra: Object.fromEntries(extra) } : {}),
  };
}

/** Node joins repeated headers with a comma and a space. */
function values(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return (Array.isArray(header) ? header : header.split(',')).map((value) => value.trim());
}

function rightsFor({ name, groups, uid, extra = {} }: UserInfo): RequestInfo[] {
  const account = serviceAccountOf(name);
  const who = account
    ? right({ resource: 'serviceaccounts', ...account })
    : right({ resource: 'users', name });
  const group = 'authentication.k8s.io';
  return [
    who,
    ...groups.map((one) => right({ resource: 'groups', name: one })),
    ...(uid === undefined ? [] : [right({ group, resource: 'uids', name: uid })]),
    ...Object.entries(extra).flatMap(([subresource, all]) =>
      all.map((one) => right({ group, resource: 'userextras', subresource, name: one })),
    ),
  ];
}

function right(parts: Partial<RequestInfo>): RequestInfo {
  return {
    ...{ path: '', verb: 'impersonate', isResource: true, group: '', version: 'v1', namespace: '' },
    ...{ resource: '', subresource: '', name: '', rest: '' },
    ...parts,
  };
}

function serviceAccountOf(name: string): { namespace: string; name: string } | undefined {
  if (!name.startsWith(SERVICE_ACCOUNT)) return undefined;
  const [namespace = '', account = ''] = name.slice(SERVICE_ACCOUNT.length).split(':');
  return { namespace, name: account };
}

function serviceAccountGroups({ name, groups }: UserInfo): string[] {
  const account = serviceAccountOf(name);
  if (account === undefined || groups.length > 0) return [];
  return ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`];
}

async function isAllowed(
  user: UserInfo,
  info: RequestInfo,
  authorizers: readonly Authorizer[],
): Promise<boolean> {
  for (const authorizer of authorizers) {
    const { decision } = await authorizer.authorize(user, info);
    if (decision !== 'no-opinion') return decision === 'allow';
  }
  return false;
}
