import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { deflateRaw, gunzip, gzip, inflateRaw } from 'node:zlib';
import type { Exchange } from './exchange.ts';
import { rewriteLinks } from './html-links.ts';
import { passOn } from './http-proxy.ts';

/** What a proxied answer was asked of, and where the client asked for it. */
export interface ProxiedPlace {
  /** At the back end. */
  readonly asked: URL;
  /** The Host that the client named. */
  readonly host: string;
  /** What the paths of the back end stand below here. */
  readonly base: string;
}

/** Larger pages are passed on as they are: rewriting needs the whole page. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

interface Coding {
  decode(bytes: Buffer): Promise<Buffer>;
  encode(bytes: Buffer): Promise<Buffer>;
}

const limit = { maxOutputLength: 4 * MAX_PAGE_BYTES };
const CODINGS: Readonly<Record<string, Coding>> = {
  '': { decode: async (bytes) => bytes, encode: async (bytes) => bytes },
  gzip: { decode: (bytes) => promisify(gunzip)(bytes, limit), encode: promisify(gzip) },
  deflate: {
    decode: (bytes) => promisify(inflateRaw)(bytes, limit),
    encode: promisify(deflateRaw),
  },
};

/** Passes an answer on with its redirects, and the links of its pages, leading back through the proxy. */
export async function passOnRewritten(
  exchange: Exchange,
  answer: IncomingMessage,
  place: ProxiedPlace,
): Promise<void> {
  const { location } = answer.headers;
  if (location !== undefined) {
    return passOn(exchange, answer, { headers: { location: rewriteUrl(location, place) } });
  }
  const name = answer.headers['content-encoding'] ?? '';
  const coding = Object.hasOwn(CODINGS, name) ? CODINGS[name] : undefined;
  if (!coding || !isPage(answer) || exchange.req.method === 'HEAD') return passOn(exchange, answer);
  const { whole, begun } = await collect(answer);
  if (!whole) return passOn(exchange, answer, { body: Readable.from(joined(begun, answer)) });
  const page = await rewritten(whole, coding, place).catch(() => whole);
  const headers = { 'content-length': String(page.length) };
  return passOn(exchange, answer, { headers, body: Readable.from([page]) });
}

function isPage({ headers }: IncomingMessage): boolean {
  return (headers['content-type'] ?? '').split(';')[0]?.trim() === 'text/html';
}

async function rewritten(bytes: Buffer, coding: Coding, place: ProxiedPlace): Promise<Buffer> {
  // Bytes as characters: pages in other encodings than UTF-8 pass unharmed.
  const html = (await coding.decode(bytes)).toString('latin1');
  const page = rewriteLinks(html, (url) => rewriteUrl(url, place));
  return coding.encode(Buffer.from(page, 'latin1'));
}

/** A URL with an absolute path at the same back end is made to come back through here; others stay. */
export function rewriteUrl(url: string, { asked, host, base }: ProxiedPlace): string {
  const to = /^(?:[a-z][a-z0-9+.-]*:)?(?:\/\/([^/?#]*))?(\/[^?#]*)(.*)$/is.exec(url);
  if (!to) return url;
  const [, there = '', path = '', rest = ''] = to;
  if (there === '' && /^[a-z][a-z0-9+.-]*:/i.test(url)) return url;
  if (there !== '' && there !== asked.host && there !== host) return url;
  return path.startsWith(base) ? `${path}${rest}` : `${base}${path}${rest}`;
}

/** The body, when it is not too long; else what of it was read. */
async function collect(answer: IncomingMessage): Promise<{ whole?: Buffer; begun: Buffer[] }> {
  const begun: Buffer[] = [];
  let size = 0;
  const chunks = answer.iterator({ destroyOnReturn: false });
  for await (const chunk of chunks) {
    begun.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > MAX_PAGE_BYTES) return { begun };
  }
  return { whole: Buffer.concat(begun), begun };
}

async function* joined(begun: readonly Buffer[], rest: IncomingMessage): AsyncGenerator<Buffer> {
  yield* begun;
  for await (const chunk of rest) yield chunk as Buffer;
}
