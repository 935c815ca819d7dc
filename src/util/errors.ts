/** The text of whatever was thrown, with its causes, as far as it does not name them itself: `message: cause: cause`. */
export function errorMessage(err: unknown): string {
  if (!(err instanceof Error)) return String(err);
  const own = err.message || err.name;
  const cause = err.cause === undefined ? '' : errorMessage(err.cause);
  return own.endsWith(cause) ? own : `${own}: ${cause}`;
}

/** True when `err` is what an aborted signal throws. */
export function isAbort(err: unknown): boolean {
  return (
    err instanceof Error &&
    (err.name === 'AbortError' || (err as { code?: string }).code === 'ABORT_ERR')
  );
}

/** The errno name (`ENOENT`) of a failed system call, if that is what `err` is. */
export function errnoOf(err: unknown): string | undefined {
  const code = err instanceof Error ? (err as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
