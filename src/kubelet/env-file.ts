/**
 * The variables of an env file (KEP-3721): `NAME='value'` a line, the value literal and perhaps over several lines;
 * blank lines and lines that begin with `#` say nothing. Throws with the line that is none of these.
 */
export function parseEnvFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const first = lines[at] ?? '';
    if (first.trim() === '' || first.trimStart().startsWith('#')) continue;
    const began = /^\s*([^\s=']+)='(.*)$/.exec(first);
    if (!began) throw new Error(`invalid environment variable format at line ${at + 1}`);
    const [, name = '', rest = ''] = began;
    let value = rest;
    let end = value.indexOf("'");
    while (end < 0) {
      at++;
      if (at >= lines.length) throw new Error(`missing closing quote of ${name}`);
      value += `\n${lines[at]}`;
      end = value.indexOf("'");
    }
    const after = value.slice(end + 1).trim();
    if (after !== '' && !after.startsWith('#')) {
      throw new Error(`unexpected characters after the value at line ${at + 1}`);
    }
    variables.set(name, value.slice(0, end));
  }
  return variables;
}
