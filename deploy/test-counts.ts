import { existsSync, readFileSync } from 'node:fs';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

/**
 * `node deploy/test-counts.ts REPORT EXIT_CODE` prints "PASSED FAILED" for a JSON report of vitest. A file that failed
 * as a whole counts as one failure, and so does a run that failed without saying where.
 */
function main([file = '', exitCode = '1']: string[]): void {
  const report = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;
  const passed = report?.numPassedTests ?? 0;
  const files = (report?.testResults ?? []).filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = (report?.numFailedTests ?? 0) + files;
  process.stdout.write(`${passed} ${failed === 0 && exitCode !== '0' ? 1 : failed}\n`);
}

main(process.argv.slice(2));
