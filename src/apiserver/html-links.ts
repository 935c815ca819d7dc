/** Which attributes hold URLs, by element (HTML 4 and 5). */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};
/** What is between their tags is text, whatever it looks like. */
const RAW = new Set(['script', 'style', 'textarea', 'title']);

const TAG = /<([a-z][^\s/>]*)/iy;
const SPACE = /[\s/]*/y;
const NAME = /[^\s=>/]+/y;
const VALUE = /\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))/dy;

/** The page with other URLs in its links. Everything else stays byte for byte, well-formed or not. */
export function rewriteLinks(html: string, rewrite: (url: string) => string): string {
  const out: string[] = [];
  let kept = 0;
  let at = html.indexOf('<');
  while (at >= 0) {
    if (html.startsWith('<!--', at)) {
      at = after(html, '-->', at);
      continue;
    }
    const name = match(TAG, html, at)?.[1]?.toLowerCase();
    if (name === undefined) {
      at = html.indexOf('<', at + 1);
      continue;
    }
    const links = Object.hasOwn(LINKS, name) ? (LINKS[name] ?? []) : [];
    const tag = readTag(html, at + 1 + name.length);
    for (const { attribute, start, end } of tag.values) {
      if (!links.includes(attribute)) continue;
      out.push(html.slice(kept, start), rewrite(html.slice(start, end)));
      kept = end;
    }
    at = RAW.has(name) ? closing(html, name, tag.end) : html.indexOf('<', tag.end);
  }
  return out.join('') + html.slice(kept);
}

interface Value {
  readonly attribute: string;
  readonly start: number;
  readonly end: number;
}

/** The attributes of a tag, and where it ends. */
function readTag(html: string, from: number): { values: Value[]; end: number } {
  const values: Value[] = [];
  let at = from;
  while (at < html.length) {
    at += match(SPACE, html, at)?.[0].length ?? 0;
    if (html[at] === '>') return { values, end: at + 1 };
    const attribute = match(NAME, html, at)?.[0];
    if (attribute === undefined) {
      at++;
      continue;
    }
    at += attribute.length;
    const value = match(VALUE, html, at);
    const range = value?.indices?.slice(1).find((one) => one !== undefined);
    if (!value || !range) continue;
    values.push({ attribute: attribute.toLowerCase(), start: range[0], end: range[1] });
    at += value[0].length;
  }
  return { values, end: at };
}

function closing(html: string, name: string, from: number): number {
  const found = new RegExp(`</${name}`, 'gi');
  found.lastIndex = from;
  return found.exec(html)?.index ?? -1;
}

function after(html: string, text: string, from: number): number {
  const end = html.indexOf(text, from);
  return end < 0 ? -1 : html.indexOf('<', end + text.length);
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
