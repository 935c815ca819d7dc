import { describe, expect, it } from 'vitest';
import { BodyError, HttpAnswerReader } from './http-answer.ts';

/** Reads a whole answer at once and byte by byte, which must come to the same. */
function read(text: string) {
  const [whole, slow] = [new HttpAnswerReader(), new HttpAnswerReader()];
  const bytes = Buffer.from(text);
  const isDone = whole.push(bytes);
  const ends = [...bytes].map((byte) => slow.push(Buffer.of(byte)));
  expect([slow.status, slow.location, slow.body]).toEqual([
    whole.status,
    whole.location,
    whole.body,
  ]);
  expect(ends.includes(true)).toBe(isDone);
  return { status: whole.status, body: whole.body, isDone, end: () => whole.end() };
}

describe('HttpAnswerReader', () => {
  it.each<[string, string, string, boolean]>([
    ['a length that is told', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok', true],
    ['no length: the connection will end', 'HTTP/1.0 200 OK\r\n\r\nok', 'ok', false],
    ['lines as a shell script ends them', 'HTTP/1.0 200\ncontent-length: 2\n\nok', 'ok', true],
    [
      'chunks, extensions and trailers',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\nA\r\n0123456789\r\n0\r\n\r\n',
      'ok0123456789',
      true,
    ],
    [
      'a provisional answer before',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'ok',
      true,
    ],
  ])('reads %s', (_, text, body, isDone) => {
    expect(read(text)).toMatchObject({ status: 200, body, isDone });
  });

  it('takes the end of the connection for that of a body without a length', () => {
    expect(read('HTTP/1.0 200 OK\r\n\r\nok').end).not.toThrow();
  });

  it('waits for no body where there is none', () => {
    const head = (status: number) => `HTTP/1.1 ${status} X\r\nContent-Length: 9\r\n\r\n`;
    expect(read(head(204))).toMatchObject({ status: 204, isDone: true });
    expect(read(head(304))).toMatchObject({ status: 304, isDone: true });
    expect(read('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')).toMatchObject({ isDone: true });
  });

  it('has enough after 10 KiB, however they come', () => {
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
    const chunked = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(3)}`;
    expect(read(chunked)).toMatchObject({ body: 'x'.repeat(10_240), isDone: true });
    const endless = `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(11_000)}`;
    expect(read(endless)).toMatchObject({ body: 'x'.repeat(10_240), isDone: true });
  });

  it('knows nothing by an answer that breaks off', () => {
    const told = read('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok');
    expect(told.end).toThrow(BodyError);
    const chunked = read('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n');
    expect(chunked.end).toThrow(BodyError);
    expect(read('HTTP/1.1 200 OK\r\n').end).toThrow('EOF');
  });

  it.each([
    ['SSH-2.0-OpenSSH_9.2\r\n', 'malformed HTTP response "SSH-2.0-OpenSSH_9.2"'],
    ['HTTP/1.1 2xx\r\n\r\n', 'malformed HTTP response "HTTP/1.1 2xx"'],
    ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'bad Content-Length "-1"'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'invalid byte in chunk length'],
    [`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`, 'server response headers exceeded'],
  ])('refuses %j', (text, message) => {
    expect(() => new HttpAnswerReader().push(Buffer.from(text))).toThrow(message);
  });
});
