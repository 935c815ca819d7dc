import { createHash } from 'node:crypto';

/** A document that the server says about itself, ready to be sent. */
export interface ServedDocument {
  readonly contentType: string;
  /** Quoted, as the header wants it. A request whose If-None-Match holds it is answered 304. */
  readonly etag: string;
  readonly bytes: Buffer;
}

export function servedDocument(contentType: string, bytes: Buffer): ServedDocument {
  const hash = createHash('sha512').update(bytes).digest('hex').toUpperCase();
  return { contentType, etag: `"${hash}"`, bytes };
}

export function servedJson(value: unknown, contentType = 'application/json'): ServedDocument {
  return servedDocument(contentType, Buffer.from(JSON.stringify(value)));
}

/** One media range of an Accept header, with its parameters except `q`. */
export interface MediaRange {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** What the client accepts, best first. No header accepts anything. */
export function parseAccept(accept: string | undefined): MediaRange[] {
  if (accept === undefined || accept.trim() === '') return [{ type: '*/*', parameters: {} }];
  const ranges = accept.split(',').map((text) => {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim());
    const pairs = rest.map((part) => {
      const at = part.indexOf('=');
      return at < 0 ? [part, ''] : [part.slice(0, at).trim(), unquote(part.slice(at + 1).trim())];
    });
    const { q = '1', ...parameters } = Object.fromEntries(pairs) as Record<string, string>;
    return { type: type.toLowerCase(), parameters, q: Number(q) };
  });
  return ranges.filter(({ q }) => q > 0).toSorted((a, b) => b.q - a.q);
}

function unquote(text: string): string {
  return text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

export function acceptsJson({ type }: MediaRange): boolean {
  return type === 'application/json' || type === 'application/*' || type === '*/*';
}
