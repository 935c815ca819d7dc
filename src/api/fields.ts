/** One condition on a selectable field: `status.phase!=Running`. */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

export type FieldSelector = readonly FieldRequirement[];

/** Reads the query form of a field selector (`?fieldSelector=`). Throws RangeError in upstream's words. */
export function parseFieldSelector(text: string): FieldSelector {
  return splitTerms(text)
    .filter((term) => term !== '')
    .map((term) => {
      const found = /^((?:\\.|[^\\=!])*?)(!=|==|=)(.*)$/s.exec(term);
      if (!found) {
        throw new RangeError(`invalid selector: '${text}'; can't understand '${term}'`);
      }
      const [, field = '', operator, value = ''] = found;
      return { field, operator: operator === '!=' ? '!=' : '=', value: unescapeValue(value) };
    });
}

/** True when the object's fields meet every requirement. A field without a value counts as empty text. */
export function fieldsMatch(
  selector: FieldSelector,
  fields: Readonly<Record<string, string>>,
): boolean {
  return selector.every(({ field, operator, value }) => {
    const actual = Object.hasOwn(fields, field) ? (fields[field] ?? '') : '';
    return (actual === value) === (operator === '=');
  });
}

export function formatFieldSelector(selector: FieldSelector): string {
  return selector
    .map(({ field, operator, value }) => `${field}${operator}${escapeValue(value)}`)
    .join(',');
}

/** Terms are parted by commas, except by those behind a backslash. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === ',') {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...terms, text.slice(start)];
}

function unescapeValue(value: string): string {
  return value.replace(/\\(.?)|([,=])/gs, (all, escaped: string | undefined) => {
    if (escaped !== undefined && /^[\\,=]$/.test(escaped)) return escaped;
    if (escaped === undefined) {
      throw new RangeError(`invalid field selector: unescaped character in value: ${all}`);
    }
    throw new RangeError(`invalid field selector: invalid escape sequence: ${all}`);
  });
}

function escapeValue(value: string): string {
  return value.replace(/[\\,=]/g, (c) => `\\${c}`);
}
