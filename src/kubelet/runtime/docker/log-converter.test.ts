import { describe, expect, it } from 'vitest';
import { LogParser } from './log-converter.ts';

/** One message in Docker's multiplexed form. */
function frame(stream: 1 | 2, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

describe('LogParser', () => {
  const T1 = '2026-01-01T00:00:00.100000000Z';
  const T2 = '2026-01-01T00:00:00.200000000Z';

  it('writes messages as CRI lines, cut ones as parts', () => {
    const parser = new LogParser(false, '');
    const data = [frame(1, `${T1} out\n`), frame(2, `${T1} err\n`), frame(1, `${T2} half`)];
    expect(parser.push(Buffer.concat(data)).toString()).toBe(
      `${T1} stdout F out\n${T1} stderr F err\n${T2} stdout P half\n`,
    );
  });

  it('waits for the rest of a message, wherever it was cut', () => {
    const whole = Buffer.concat([frame(1, `${T1} one\n`), frame(1, `${T2} two\n`)]);
    for (let cut = 1; cut < whole.length; cut++) {
      const parser = new LogParser(false, '');
      const text = [whole.subarray(0, cut), whole.subarray(cut)].map((part) => parser.push(part));
      expect(Buffer.concat(text).toString()).toBe(`${T1} stdout F one\n${T2} stdout F two\n`);
    }
  });

  it('leaves out what was written before a restart', () => {
    const parser = new LogParser(false, T1);
    const data = Buffer.concat([frame(1, `${T1} old\n`), frame(1, `${T2} new\n`)]);
    expect(parser.push(data).toString()).toBe(`${T2} stdout F new\n`);
  });

  it('reads a terminal, which has no frames', () => {
    const parser = new LogParser(true, '');
    expect(parser.push(Buffer.from(`${T1} a\r\n${T2} b`)).toString()).toBe(`${T1} stdout F a\r\n`);
    expect(parser.push(Buffer.from('c\n')).toString()).toBe(`${T2} stdout F bc\n`);
  });
});
