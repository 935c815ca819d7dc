import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { createGzip, gzip } from 'node:zlib';
import type { Exchange } from './exchange.ts';

/** What is smaller is not worth the work; upstream's figure. */
const THRESHOLD_BYTES = 128 * 1024;
/** Fast: most of what JSON can lose is lost at once. */
const LEVEL = 1;
const HEADERS = { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' } as const;

/** Whether an answer of so many bytes is to be compressed for this client. */
export function wantsGzip({ req, info }: Exchange, bytes: number): boolean {
  if (bytes <= THRESHOLD_BYTES || req.method !== 'GET' || info.verb === 'watch') return false;
  return acceptsGzip(String(req.headers['accept-encoding'] ?? ''));
}

function acceptsGzip(header: string): boolean {
  return header.split(',').some((part) => {
    const [coding = '', ...parameters] = part.split(';').map((word) => word.trim().toLowerCase());
    return coding === 'gzip' && !parameters.some((word) => /^q=0(\.0*)?$/.test(word));
  });
}

const compressed = promisify(gzip);

/** A whole answer, compressed outside of the event loop, and what its head must say. */
export async function gzipped(body: Buffer) {
  return { body: await compressed(body, { level: LEVEL }), headers: HEADERS };
}

/** Where to write an answer that is made piece by piece; compressed pieces end up in `res`. */
export function gzipInto(res: Exchange['res']): { sink: Writable; headers: typeof HEADERS } {
  const sink = createGzip({ level: LEVEL });
  sink.pipe(res);
  // Nobody reads any more: whoever waits to write must not wait for ever.
  res.on('close', () => sink.destroy());
  return { sink, headers: HEADERS };
}
