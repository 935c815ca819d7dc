import { ApiError, badRequest } from '../api/errors.ts';
import {
  type FieldError,
  forbidden,
  invalid,
  invalidObject,
  notSupported,
} from '../api/field-errors.ts';
import { isTrue } from './request-info.ts';

/** The query parameters of list and watch (meta/v1 ListOptions), checked. */
export interface ListOptions {
  readonly limit: number;
  readonly continueToken: string;
  /** Undefined: not given. */
  readonly resourceVersion: number | undefined;
  readonly match: '' | 'Exact' | 'NotOlderThan';
  readonly sendInitialEvents: boolean | undefined;
  readonly allowBookmarks: boolean;
  readonly timeoutSeconds: number | undefined;
}

export function parseListOptions(query: URLSearchParams, isWatch: boolean): ListOptions {
  const match = query.get('resourceVersionMatch') ?? '';
  const version = query.get('resourceVersion') ?? '';
  const sendInitialEvents = query.get('sendInitialEvents');
  const errors = isWatch
    ? checkWatch(match, sendInitialEvents)
    : checkList(match, version, query, sendInitialEvents);
  if (errors.length > 0) {
    throw invalidObject({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors);
  }
  const timeout = integer(query, 'timeoutSeconds');
  return {
    limit: Math.max(0, integer(query, 'limit') ?? 0),
    continueToken: query.get('continue') ?? '',
    resourceVersion: parseVersion(version),
    match: match as ListOptions['match'],
    sendInitialEvents: sendInitialEvents === null ? undefined : isTrue(sendInitialEvents),
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    timeoutSeconds: timeout,
  };
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

export function parseVersion(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw new ApiError(
      'Invalid',
      `Invalid value: ${JSON.stringify(text)}: invalid resource version`,
      {
        details: {
          causes: [
            {
              reason: 'FieldValueInvalid',
              message: invalid('resourceVersion', text, 'invalid resource version').message,
              field: 'resourceVersion',
            },
          ],
        },
      },
    );
  }
  return Number(text);
}

const MATCH = 'resourceVersionMatch';

function checkWatch(match: string, sendInitialEvents: string | null): FieldError[] {
  if (sendInitialEvents !== null && match !== 'NotOlderThan') {
    return [forbidden(MATCH, `sendInitialEvents requires setting ${MATCH} to NotOlderThan`)];
  }
  if (sendInitialEvents === null && match !== '') {
    return [
      forbidden(MATCH, `${MATCH} is forbidden for watch unless sendInitialEvents is provided`),
    ];
  }
  return [];
}

function checkList(
  match: string,
  version: string,
  query: URLSearchParams,
  sendInitialEvents: string | null,
): FieldError[] {
  const errors: FieldError[] = [];
  if (sendInitialEvents !== null) {
    errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  if (match === '') return errors;
  if (version === '') {
    errors.push(forbidden(MATCH, `${MATCH} is forbidden unless resourceVersion is provided`));
  }
  if ((query.get('continue') ?? '') !== '') {
    errors.push(forbidden(MATCH, `${MATCH} is forbidden when continue is provided`));
  }
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    errors.push(notSupported(MATCH, match, ['Exact', 'NotOlderThan', '']));
  }
  if (match === 'Exact' && version === '0') {
    errors.push(forbidden(MATCH, `${MATCH} "Exact" is forbidden for resourceVersion "0"`));
  }
  return errors;
}
