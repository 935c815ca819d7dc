import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { sourceStack } from './source-stack.ts';

const directory = mkdtempSync(join(tmpdir(), 'source-stack-'));
afterAll(() => rmSync(directory, { recursive: true }));

const bundle = join(directory, 'bundle.js');
// Line 2, column 3 of the bundle is line 5, column 1 of ../src/a.ts (base64 VLQ of the source map format).
const map = { version: 3, sources: ['../src/a.ts'], names: [], mappings: ';EAIA' };
writeFileSync(`${bundle}.map`, JSON.stringify(map));

describe('sourceStack', () => {
  const source = join(directory, '../src/a.ts:5:1');

  it('names the places in the sources', () => {
    const stack = `Error: no\n    at run (${pathToFileURL(bundle)}:2:3)\n    at ${bundle}:2:3`;
    expect(sourceStack(stack)).toBe(`Error: no\n    at run (${source})\n    at ${source}`);
  });

  it('does not need the map again for a place that it knows', () => {
    rmSync(`${bundle}.map`);
    expect(sourceStack(`at run (${pathToFileURL(bundle)}:2:3)`)).toBe(`at run (${source})`);
  });

  it('leaves what has no map, or a damaged one, as it is', () => {
    const damaged = join(directory, 'damaged.js');
    writeFileSync(`${damaged}.map`, '{');
    const stack = `at a (node:events:1:2)\n at ${damaged}:1:1\n at (/no/such.js:3:4)`;
    expect(sourceStack(stack)).toBe(stack);
  });
});
