/** Go's POSIX classes as JavaScript writes their members within brackets. */
export const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};
/** What is left of all characters. */
export const NOT_POSIX: Readonly<Record<string, string>> = {
  alnum: '\\x00-\\/:-@\\[-`{-\\uffff',
  alpha: '\\x00-@\\[-`{-\\uffff',
  ascii: '\\x80-\\uffff',
  blank: '\\x00-\\x08\\n-\\x1f!-\\uffff',
  cntrl: ' -~\\x80-\\uffff',
  digit: '\\x00-\\/:-\\uffff',
  graph: '\\x00- \\x7f-\\uffff',
  lower: '\\x00-`{-\\uffff',
  print: '\\x00-\\x1f\\x7f-\\uffff',
  punct: '\\x00- 0-9A-Za-z\\x7f-\\uffff',
  space: '\\x00-\\x08\\x0e-\\x1f!-\\uffff',
  upper: '\\x00-@\\[-\\uffff',
  word: '\\x00-\\/:-@\\[-^`{-\\uffff',
  xdigit: '\\x00-\\/:-@G-`g-\\uffff',
};
