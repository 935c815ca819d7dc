import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LogOptions, readLog } from './log-reader.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-log-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const T = '2026-01-01T00:00:0';

/** What a reader is told of a log file that holds this. */
async function told(text: string, options: Partial<LogOptions> = {}): Promise<string> {
  const path = join(directory, '0.log');
  writeFileSync(path, text);
  const whole = { follow: false, timestamps: false, ...options };
  const parts: Buffer[] = [];
  const signal = new AbortController().signal;
  for await (const part of readLog(path, whole, { ended: () => true }, signal))
    parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString();
}

const LOG = [
  `${T}1.123456789Z stdout F one`,
  // Times of other lengths, as Go writes them.
  `${T}2.5Z stderr F two`,
  `${T}3Z stdout P three, `,
  `${T}3.1Z stdout F in two parts`,
  `${T}4Z stdout F `,
  `${T}5Z stdout F with F and  blanks `,
  '',
].join('\n');

describe('readLog', () => {
  it('gives the text of every line, and joins the parts of one', async () => {
    expect(await told(LOG)).toBe('one\ntwo\nthree, in two parts\n\nwith F and  blanks \n');
  });

  it('understands several tags, and leaves out what is no line of a log', async () => {
    const odd = `${LOG}${T}6Z stdout P:x half \ngarbage\n${T}7Z stdout F:y:z whole\n${T}8Z stdout F unfinished`;
    expect(await told(odd)).toBe(`${await told(LOG)}half whole\n`);
  });

  it.each<[Partial<LogOptions>, string]>([
    [{ stream: 'Stderr' }, 'two\n'],
    [{ tailLines: 2 }, '\nwith F and  blanks \n'],
    [{ limitBytes: 5 }, 'one\nt'],
    [{ since: Date.parse(`${T}4Z`) }, '\nwith F and  blanks \n'],
    [{ timestamps: true, tailLines: 1 }, `${T}5Z with F and  blanks \n`],
  ])('%j: %j', async (options, text) => {
    expect(await told(LOG, options)).toBe(text);
  });

  it('loses nothing where its pieces of the file end', async () => {
    // Larger than its largest piece, so that it reads pieces of every size.
    const lines = Array.from({ length: 60_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 90)}`);
    const log = lines.map((line, i) => `${T}1.${i}Z stdout F ${line}\n`).join('');
    expect(await told(log)).toBe(`${lines.join('\n')}\n`);
  });

  it('puts lines together that are longer than its pieces', async () => {
    const lines = [70_000, 3, 300_000, 40_000].map((length) => 'x'.repeat(length));
    const log = lines.map((line) => `${T}1Z stdout F ${line}\n`).join('');
    expect(await told(log)).toBe(`${lines.join('\n')}\n`);
  });
});
