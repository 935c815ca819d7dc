/** Upstream's `StatusReason`s and the HTTP code that each answers with (apimachinery meta/v1). */
export const REASON_CODES = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  ServerTimeout: 500,
  Timeout: 504,
} as const;

export type StatusReason = keyof typeof REASON_CODES;

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** The wire's `Status` (meta/v1): what every failed request is answered with. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, unknown>;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

/** A failure of an API request, on the server that answers it and in the client that receives it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** A `StatusReason`, or the unknown reason of another server. */
  readonly reason: string;
  /** The HTTP status code. */
  readonly code: number;
  readonly details: StatusDetails | undefined;
  /** ListMeta of the Status: the token with which a list whose history is gone can go on. */
  readonly metadata: Readonly<Record<string, unknown>>;

  constructor(
    reason: StatusReason | (string & {}),
    message: string,
    options: {
      code?: number | undefined;
      details?: StatusDetails | undefined;
      metadata?: Readonly<Record<string, unknown>> | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.code = options.code ?? (REASON_CODES as Record<string, number>)[reason] ?? 500;
    this.details = options.details;
    this.metadata = options.metadata ?? {};
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.metadata,
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }

  static fromStatus(status: Status): ApiError {
    return new ApiError(status.reason ?? '', status.message ?? 'unknown', {
      code: status.code,
      details: status.details,
      metadata: status.metadata,
    });
  }
}

/** What an error message calls a resource: `pods`, `deployments.apps`. */
export function qualifiedResource(type: { group: string; resource: string }): string {
  return type.group === '' ? type.resource : `${type.resource}.${type.group}`;
}

type Named = { group: string; resource: string };

export function notFound(type: Named, name: string): ApiError {
  return new ApiError('NotFound', `${qualifiedResource(type)} ${quote(name)} not found`, {
    details: detailsOf(type, name),
  });
}

export function alreadyExists(type: Named, name: string): ApiError {
  return new ApiError('AlreadyExists', `${qualifiedResource(type)} ${quote(name)} already exists`, {
    details: detailsOf(type, name),
  });
}

export function conflict(type: Named, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualifiedResource(type)} ${quote(name)}: ${why}`;
  return new ApiError('Conflict', message, { details: detailsOf(type, name) });
}

export function badRequest(message: string): ApiError {
  return new ApiError('BadRequest', message);
}

/** Go's `%q` for the strings that occur in names. */
function quote(text: string): string {
  return JSON.stringify(text);
}

function detailsOf(type: Named, name: string): StatusDetails {
  return { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.resource };
}

function reasonIs(err: unknown, reason: StatusReason): boolean {
  return err instanceof ApiError && err.reason === reason;
}

export const isNotFound = (err: unknown): boolean => reasonIs(err, 'NotFound');
export const isAlreadyExists = (err: unknown): boolean => reasonIs(err, 'AlreadyExists');
export const isConflict = (err: unknown): boolean => reasonIs(err, 'Conflict');
export const isInvalid = (err: unknown): boolean => reasonIs(err, 'Invalid');
export const isForbidden = (err: unknown): boolean => reasonIs(err, 'Forbidden');
/** The watch or page asked for history that is gone: list again. */
export const isGone = (err: unknown): boolean => reasonIs(err, 'Expired') || reasonIs(err, 'Gone');
