/**
 * The shapes that names, labels and keys must have (RFC 1123, RFC 1035, apimachinery util/validation). Each check
 * answers what is wrong, in upstream's words; nothing when the value is good.
 */
export type Check = (value: string) => string[];

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LOOSE_LABEL = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const DNS_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_VALUE = `(${QUALIFIED})?`;
const CONFIG_KEY = '[-._a-zA-Z0-9]+';
const HTTP_HEADER = '[-A-Za-z0-9]+';
const PERCENT = '[0-9]+%';

/** A pattern with the sentence that explains it. None of them backtracks more than linearly on bounded input. */
interface Shape {
  readonly pattern: RegExp;
  readonly message: string;
}

function shape(source: string, rule: string, ...examples: string[]): Shape {
  const shown = examples.map((e) => `'${e}', `).join(' or ');
  const head = examples.length === 0 ? ' (' : ` (e.g. ${shown}`;
  return {
    pattern: new RegExp(`^${source}$`),
    message: `${rule}${head}regex used for validation is '${source}')`,
  };
}

const LABEL_SHAPE = shape(
  LABEL,
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  'my-name',
  '123-abc',
);
const SUBDOMAIN_SHAPE = shape(
  SUBDOMAIN,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  'example.com',
);
const LOOSE_SUBDOMAIN_SHAPE = shape(
  `${LOOSE_LABEL}(\\.${LOOSE_LABEL})*`,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
  'example.com',
);
const WILDCARD_SHAPE = shape(
  `\\*\\.${SUBDOMAIN}`,
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
  '*.example.com',
);
const DNS_1035_SHAPE = shape(
  DNS_1035,
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  'my-name',
  'abc-123',
);
const QUALIFIED_RULE =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const QUALIFIED_EXAMPLES = ['MyName', 'my.name', '123-abc'];
const NAME_PART_SHAPE = shape(QUALIFIED, `name part ${QUALIFIED_RULE}`, ...QUALIFIED_EXAMPLES);
const QUALIFIED_SHAPE = shape(
  QUALIFIED,
  `a qualified name ${QUALIFIED_RULE}`,
  ...QUALIFIED_EXAMPLES,
);
const VALUE_SHAPE = shape(
  LABEL_VALUE,
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  'MyValue',
  'my_value',
  '12345',
);
const CONFIG_KEY_SHAPE = shape(
  CONFIG_KEY,
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  'key.name',
  'KEY_NAME',
  'key-name',
);
const HTTP_HEADER_SHAPE = shape(
  HTTP_HEADER,
  "a valid HTTP header must consist of alphanumeric characters or '-'",
  'X-Header-Name',
);
const PERCENT_SHAPE = shape(
  PERCENT,
  "a valid percent string must be a numeric string followed by an ending '%'",
  '1%',
  '93%',
);

const MAX_LABEL = 63;
const MAX_SUBDOMAIN = 253;

function tooLong(value: string, max: number): string[] {
  return Buffer.byteLength(value) > max ? [`must be no more than ${max} bytes`] : [];
}

/** What is far too long is not matched at all. */
function unlike({ pattern, message }: Shape, value: string): string[] {
  return value.length < 10_000 && pattern.test(value) ? [] : [message];
}

export const dns1123Label: Check = (value) => {
  const long = tooLong(value, MAX_LABEL);
  if (LABEL_SHAPE.pattern.test(value)) return long;
  const dots = unlike(SUBDOMAIN_SHAPE, value).length === 0;
  return [...long, dots ? 'must not contain dots' : LABEL_SHAPE.message];
};

export const dns1123Subdomain: Check = (value) => [
  ...tooLong(value, MAX_SUBDOMAIN),
  ...unlike(SUBDOMAIN_SHAPE, value),
];

/** With underscores, as names of services in DNS have them. */
export const looseSubdomain: Check = (value) => [
  ...tooLong(value, MAX_SUBDOMAIN),
  ...unlike(LOOSE_SUBDOMAIN_SHAPE, value),
];

export const wildcardSubdomain: Check = (value) => [
  ...tooLong(value, MAX_SUBDOMAIN),
  ...unlike(WILDCARD_SHAPE, value),
];

export const dns1035Label: Check = (value) => [
  ...tooLong(value, MAX_LABEL),
  ...unlike(DNS_1035_SHAPE, value),
];

/** `name` or `prefix/name`: label keys, annotation keys, finalizers, resource names. */
export const qualifiedName: Check = (value) => {
  const parts = value.split('/');
  const out: string[] = [];
  if (parts.length > 2) {
    return [
      `${QUALIFIED_SHAPE.message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') out.push('prefix part must be non-empty');
    else out.push(...dns1123Subdomain(prefix).map((m) => `prefix part ${m}`));
  }
  const name = parts.at(-1) ?? '';
  if (name === '') out.push('name part must be non-empty');
  else out.push(...tooLong(name, MAX_LABEL).map((m) => `name part ${m}`));
  return [...out, ...unlike(NAME_PART_SHAPE, name)];
};

export const labelValue: Check = (value) => [
  ...tooLong(value, MAX_LABEL),
  ...unlike(VALUE_SHAPE, value),
];

/** Keys of ConfigMaps and Secrets: they become file names. */
export const configMapKey: Check = (value) => [
  ...tooLong(value, MAX_SUBDOMAIN),
  ...unlike(CONFIG_KEY_SHAPE, value),
  ...upwards(value),
];

/** A key may not lead out of the directory that it is written to. */
function upwards(value: string): string[] {
  if (value === '.') return ["must not be '.'"];
  if (value === '..') return ["must not be '..'"];
  return value.startsWith('..') ? ["must not start with '..'"] : [];
}

export const httpHeaderName: Check = (value) => unlike(HTTP_HEADER_SHAPE, value);
export const percent: Check = (value) => unlike(PERCENT_SHAPE, value);

/** Printable ASCII without `=`. */
export const environmentName: Check = (value) => {
  if (value === '') return ['environment variable name must not be empty'];
  if (/^[ -<>-~]+$/.test(value)) return [];
  return [
    "a valid environment variable name must consist only of printable ASCII characters other than '='",
  ];
};

/** What a path segment may be: RBAC names and such, which may hold colons. */
export const pathSegmentName: Check = (value) => {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%'].filter((c) => value.includes(c)).map((c) => `may not contain '${c}'`);
};

/** Names of ports (RFC 6335), lower case only. */
export const portName: Check = (value) => {
  const out = tooLong(value, 15);
  if (!/^[-a-z0-9]+$/.test(value)) {
    out.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) out.push('must contain at least one letter (a-z)');
  if (value.includes('--')) out.push('must not contain consecutive hyphens');
  if (/^-|-$/.test(value)) out.push('must not begin or end with a hyphen');
  return out;
};

export function portNumber(value: number): string[] {
  return inRange(value, 1, 65_535);
}

export function inRange(value: number, min: number, max: number): string[] {
  return value >= min && value <= max ? [] : [`must be between ${min} and ${max}, inclusive`];
}

/** How a kind checks its names: `prefix` when only the part before generated characters is known. */
export function nameCheck(check: Check): (name: string, prefix: boolean) => string[] {
  // A prefix may end in a dash: the generated characters follow.
  return (name, prefix) => check(prefix && name.endsWith('-') ? `${name.slice(0, -1)}a` : name);
}
