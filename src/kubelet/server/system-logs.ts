import type { Stats } from 'node:fs';
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errnoOf } from '../../util/errors.ts';
import { HttpError } from './http-error.ts';
import type { KubeletRequest, Target } from './target.ts';

const SNIFFED = 512;

/**
 * GET /logs/PATH: the machine's log directory, its directories as lists of links. A link of the file system leads
 * nowhere outside of it: who can write a log there must not be able to show any file of the machine.
 */
export async function systemLogs(
  { req, res, url, parts, signal }: KubeletRequest,
  { options, dirs }: Target,
): Promise<void> {
  if (!options.config.enableSystemLogHandler)
    throw new HttpError(405, 'logs endpoint is disabled.');
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new HttpError(405, 'Method Not Allowed');
  const { path, found } = await locate(dirs.systemLogs, parts);
  const isDirectory = found.isDirectory();
  // The links of a list are relative to it; a file is none.
  if (isDirectory !== url.pathname.endsWith('/')) {
    const name = encodeURIComponent(parts.at(-1) ?? 'logs');
    const location = isDirectory ? `${name}/` : `../${name}`;
    res.writeHead(301, { Location: `${location}${url.search}` }).end();
    return;
  }
  const headers = { 'Last-Modified': found.mtime.toUTCString() };
  if (isDirectory) {
    res.writeHead(200, { ...headers, 'Content-Type': 'text/html; charset=utf-8' });
    res.end(await listing(path));
    return;
  }
  await using file = await open(path);
  const type = await contentType(file, Math.min(found.size, SNIFFED));
  // As long as it is now: what is still written comes with the next look.
  res.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': found.size });
  if (req.method === 'HEAD' || found.size === 0) res.end();
  else {
    const content = file.createReadStream({ start: 0, end: found.size - 1, autoClose: false });
    await pipeline(content, res, { signal });
    // Cut short meanwhile: nobody shall wait for the rest.
    if (content.bytesRead < found.size) res.destroy();
  }
}

async function locate(
  top: string,
  parts: readonly string[],
): Promise<{ path: string; found: Stats }> {
  try {
    const root = await realpath(top);
    const path = await realpath(join(root, ...parts));
    if (path !== root && !path.startsWith(`${root}${sep}`))
      throw new HttpError(403, '403 Forbidden');
    const found = await stat(path);
    if (!found.isFile() && !found.isDirectory()) throw new HttpError(403, '403 Forbidden');
    return { path, found };
  } catch (err) {
    if (err instanceof HttpError) throw err;
    const isMissing = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(errnoOf(err) ?? '');
    throw new HttpError(
      isMissing ? 404 : 500,
      isMissing ? '404 page not found' : '500 Internal Server Error',
    );
  }
}

async function listing(path: string): Promise<string> {
  const entries = await readdir(path, { withFileTypes: true });
  const lines = entries
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort()
    .map((name) => `<a href="${reference(name)}">${escaped(name)}</a>\n`);
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines.join('')}</pre>\n`;
}

/** Not taken for a scheme where the name has a colon. */
function reference(name: string): string {
  const path = name.split('/').map(encodeURIComponent).join('/').replaceAll('%3A', ':');
  return /^[^/]*:/.test(path) ? `./${path}` : path;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** Text unless its beginning has bytes that no text has. */
async function contentType(file: FileHandle, length: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
  const isBinary = buffer
    .subarray(0, bytesRead)
    .some((byte) => byte < 0x20 && ![0x09, 0x0a, 0x0c, 0x0d, 0x1b].includes(byte));
  return isBinary ? 'application/octet-stream' : 'text/plain; charset=utf-8';
}
