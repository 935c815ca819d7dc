import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'k8ts-test-failures-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function failuresOf(lines: string[]): string[] {
  const log = join(dir, 'suite.log');
  writeFileSync(log, `${lines.join('\n')}\n`);
  return execaSync('node', [join(import.meta.dirname, 'test-failures.ts'), log]).stdout.split('\n');
}

const passing = Array.from({ length: 100 }, (_, i) => ` ✓ test ${i}`);

it.each(['Failed Tests 1', 'Failed Suites 2', 'Unhandled Errors'])(
  'shows a log from %s on',
  (heading) => {
    const failure = [
      `\u001b[31m⎯⎯⎯ ${heading} ⎯⎯⎯\u001b[39m`,
      'AssertionError: expected 1 to be 2',
    ];
    expect(failuresOf([...passing, ...failure])).toEqual([
      `⎯⎯⎯ ${heading} ⎯⎯⎯`,
      'AssertionError: expected 1 to be 2',
    ]);
  },
);

it('shows the end of a log that broke off', () => {
  expect(failuresOf(passing)).toEqual(passing.slice(-80));
});

it('names all that failed, however much the first one says', () => {
  const second = ' FAIL  src/b.test.ts > b';
  const stray = 'This error originated in "src/c.test.ts" test file.';
  const shown = failuresOf([
    ...passing,
    '⎯⎯⎯ Failed Tests 2 ⎯⎯⎯',
    ' FAIL  src/a.test.ts > a',
    ...Array.from({ length: 200 }, (_, i) => `+ ${i}`),
    second,
    '⎯⎯⎯ Unhandled Errors ⎯⎯⎯',
    stray,
  ]);
  expect(shown).toEqual(expect.arrayContaining([second, stray]));
});
