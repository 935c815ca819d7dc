import { pino } from 'pino';
import { sourceStack } from './source-stack.ts';

/** What a component may write to its log. Constant message, fields as data: `log.info({ pod: key }, 'Started pod')`. */
export interface Logger {
  trace(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** Upstream's `-v N` on pino's scale: 0-3 info, 4-5 debug, 6 and more trace. */
export function levelOf(verbosity: number): 'info' | 'debug' | 'trace' {
  if (verbosity >= 6) return 'trace';
  return verbosity >= 4 ? 'debug' : 'info';
}

/** The log of one process: a line of JSON each, on standard error. */
export function createLogger(component: string, verbosity = 2): Logger {
  return pino(
    {
      base: { component, pid: process.pid },
      level: levelOf(verbosity),
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: errorFields },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

function errorFields(err: unknown): unknown {
  if (!(err instanceof Error)) return err;
  const fields = pino.stdSerializers.err(err);
  return { ...fields, stack: sourceStack(fields.stack) };
}

/** Swallows everything; for tests and one-shot commands. */
export const silent: Logger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
};
