import type { ServerResponse } from 'node:http';
import { ApiError, type Status } from '../api/errors.ts';
import { errorMessage } from '../util/errors.ts';

/** Whatever was thrown, as the API's Status. What is no ApiError is our own fault: 500. */
export function statusOf(err: unknown): Status {
  if (err instanceof ApiError) return err.toStatus();
  const message = `Internal error occurred: ${errorMessage(err)}`;
  return new ApiError('InternalError', message, {
    details: { causes: [{ message: errorMessage(err) }] },
  }).toStatus();
}

const PLAIN_HEADERS = {
  'Content-Type': 'text/plain; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache, private',
};

/** A path that leads nowhere: the one failure that is answered in plain text, as upstream's multiplexer does. */
export class PageNotFound extends ApiError {
  constructor() {
    super('NotFound', '404 page not found');
  }
}

/** Answers with a Status, unless an answer has already begun: then the connection is cut, so that nobody takes it for whole. */
export function writeError(res: ServerResponse, err: unknown): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  if (err instanceof PageNotFound) {
    const text = Buffer.from(`${err.message}\n`);
    res.writeHead(404, { ...PLAIN_HEADERS, 'Content-Length': text.length });
    res.end(text);
    return;
  }
  const status = statusOf(err);
  const body = Buffer.from(`${JSON.stringify(status)}\n`);
  const seconds = status.details?.retryAfterSeconds;
  if (seconds !== undefined) res.setHeader('Retry-After', String(seconds));
  res.writeHead(status.code ?? 500, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'Cache-Control': 'no-cache, private',
  });
  res.end(body);
}
