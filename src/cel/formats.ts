import { Environment } from '@marcbachmann/cel-js';
import {
  type Check,
  dns1035Label,
  dns1123Label,
  dns1123Subdomain,
  labelValue,
  qualifiedName,
} from '../api/names.ts';
import { definer, namespace } from './define.ts';

const TYPE = 'kubernetes.NamedFormat';

class NamedFormat {
  readonly name: string;
  readonly check: Check;

  constructor(name: string, check: Check) {
    this.name = name;
    this.check = check;
  }
}

/** A prefix may end in a dash: something follows. */
const asPrefix =
  (check: Check): Check =>
  (value) =>
    check(value.replace(/-$/, 'a'));
const matching =
  (pattern: RegExp, what: string): Check =>
  (value) =>
    pattern.test(value) ? [] : [what];

const FORMATS: Readonly<Record<string, Check>> = {
  dns1123Label,
  dns1123Subdomain,
  dns1035Label,
  qualifiedName,
  dns1123LabelPrefix: asPrefix(dns1123Label),
  dns1123SubdomainPrefix: asPrefix(dns1123Subdomain),
  dns1035LabelPrefix: asPrefix(dns1035Label),
  labelValue,
  uri: (value) => (URL.canParse(value) || value.startsWith('/') ? [] : ['invalid URI']),
  uuid: matching(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
    'does not match the UUID format',
  ),
  byte: matching(/^[A-Za-z0-9+/]*={0,2}$/, 'invalid base64'),
  date: (value) =>
    /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)) ? [] : ['invalid date'],
  datetime: (value) =>
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d/.test(value) && !Number.isNaN(Date.parse(value))
      ? []
      : ['invalid datetime'],
};

/** cel-js does not export its class of optionals. */
const Optional = new Environment({ enableOptionalTypes: true }).evaluate('optional.none()')
  .constructor as { none(): unknown; of(value: unknown): unknown };

/** `format.dns1123Label().validate(text)`: what is wrong with a text, or nothing (apiserver cel/library format.go). */
export function addFormats(environment: Environment): void {
  environment.registerType(TYPE, NamedFormat);
  const define = definer(environment);
  const formats = namespace(environment, 'format');
  const made = new Map(
    Object.entries(FORMATS).map(([name, check]) => [name, new NamedFormat(name, check)]),
  );
  for (const [name, format] of made) define(`${formats}.${name}(): ${TYPE}`, () => format);
  define(`${formats}.named(string): optional<${TYPE}>`, (_: unknown, name: string) => {
    const format = made.get(name);
    return format === undefined ? Optional.none() : Optional.of(format);
  });
  define(
    `${TYPE}.validate(string): optional<list<string>>`,
    ({ check }: NamedFormat, text: string) => {
      const errors = check(text);
      return errors.length === 0 ? Optional.none() : Optional.of(errors);
    },
  );
}
