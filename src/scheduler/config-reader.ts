import {
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
} from '../api/field-errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Reads one object of a configuration file, noting everything wrong with it by field path. */
export class ConfigReader {
  readonly errors: FieldError[];
  readonly path: string;
  readonly #fields: Fields;

  constructor(value: unknown, path: string, errors: FieldError[]) {
    this.path = path;
    this.errors = errors;
    const usable = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (value !== undefined && value !== null && !usable) {
      errors.push(invalid(path, value, 'must be an object'));
    }
    this.#fields = usable ? (value as Fields) : {};
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  raw(name: string): unknown {
    return this.#fields[name] ?? undefined;
  }

  /** Fields that nobody reads are mistakes of the author, not extensions. */
  only(...names: readonly string[]): this {
    for (const name of Object.keys(this.#fields)) {
      if (!names.includes(name)) this.errors.push(forbidden(this.at(name), 'unknown field'));
    }
    return this;
  }

  string(name: string, fallback = ''): string {
    const value = this.raw(name) ?? fallback;
    if (typeof value === 'string') return value;
    this.errors.push(invalid(this.at(name), value, 'must be a string'));
    return fallback;
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.string(name, fallback);
    if ((choices as readonly string[]).includes(value)) return value as T;
    this.errors.push(notSupported(this.at(name), value, choices));
    return fallback;
  }

  /** A whole number in a range; `hint` is what the error says. */
  integer(
    name: string,
    range: { fallback: number; min: number; max?: number; hint: string },
  ): number {
    const value = this.raw(name) ?? range.fallback;
    const fits =
      typeof value === 'number' &&
      Number.isInteger(value) &&
      value >= range.min &&
      value <= (range.max ?? 2 ** 31 - 1);
    if (fits) return value;
    this.errors.push(invalid(this.at(name), value, range.hint));
    return range.fallback;
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.raw(name) ?? fallback;
    if (typeof value === 'boolean') return value;
    this.errors.push(invalid(this.at(name), value, 'must be true or false'));
    return fallback;
  }

  strings(name: string): string[] {
    return this.items(name).flatMap((value, i) => {
      if (typeof value === 'string') return [value];
      this.errors.push(invalid(`${this.at(name)}[${i}]`, value, 'must be a string'));
      return [];
    });
  }

  items(name: string): readonly unknown[] {
    const value = this.raw(name) ?? [];
    if (Array.isArray(value)) return value;
    this.errors.push(invalid(this.at(name), value, 'must be a list'));
    return [];
  }

  object(name: string): ConfigReader {
    return new ConfigReader(this.raw(name), this.at(name), this.errors);
  }

  objects(name: string): ConfigReader[] {
    return this.items(name).map(
      (value, i) => new ConfigReader(value, `${this.at(name)}[${i}]`, this.errors),
    );
  }

  /** A Go duration (`1m30s`, `100ms`) in milliseconds. */
  duration(name: string, fallbackMs: number): number {
    const value = this.raw(name);
    if (value === undefined) return fallbackMs;
    const ms = typeof value === 'string' ? parseDuration(value) : undefined;
    if (ms !== undefined) return ms;
    this.errors.push(invalid(this.at(name), value, 'must be a duration such as 30s or 1m30s'));
    return fallbackMs;
  }

  require(name: string): void {
    if (!this.has(name) || this.raw(name) === '') this.errors.push(required(this.at(name)));
  }
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's time.ParseDuration, in milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(digits) * (UNITS[unit ?? ''] ?? 0);
  }
  return ms;
}
