import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

/** Lines from the first failure on: enough for a stack and what was compared. */
const LINES_OF_FAILURES = 80;
/** Vitest rules off what failed, and errors that belong to no test, with this. */
const HEADING = /⎯ (Failed (Tests|Suites)|Unhandled (Errors|Rejection|Error)|Uncaught)/;
/** What failed, in one line each; and which file an error belongs to that is no test's. */
const NAME = /^ FAIL |^This error originated in |Worker exited unexpectedly|\[vitest-pool/;

/**
 * `node deploy/test-failures.ts LOG` prints what a log of vitest says of failures: the names of all, then the log from the
 * first heading of one on, or the end of it when the run broke off without any.
 */
function main([log = '']: string[]): void {
  const lines = stripVTControlCharacters(readFileSync(log, 'utf8')).trimEnd().split('\n');
  const first = lines.findIndex((line) => HEADING.test(line));
  const told = first < 0 ? lines.slice(-LINES_OF_FAILURES) : lines.slice(first);
  const names = first < 0 ? [] : told.filter((line) => NAME.test(line));
  const shown = [...new Set(names), ...told.slice(0, LINES_OF_FAILURES)];
  process.stdout.write(`${shown.join('\n')}\n`);
}

main(process.argv.slice(2));
