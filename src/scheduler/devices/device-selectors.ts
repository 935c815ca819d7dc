import { type CelProgram, celEnvironment, compileIn } from '../../cel/cel.ts';
import { evaluationMessage } from '../../cel/messages.ts';
import { celQuantity, QUANTITY_TYPE } from '../../cel/quantities.ts';
import { celVersion } from '../../cel/versions.ts';
import { errorMessage } from '../../util/errors.ts';
import { type Device, type DeviceAttribute, DeviceError } from './device-parts.ts';

const TYPE = 'kubernetes.DRADevice';

/** `device` in selectors. */
class CelDevice {
  readonly driver: string;
  readonly attributes: Map<string, Map<string, unknown>>;
  readonly capacity: Map<string, Map<string, unknown>>;
  readonly allowMultipleAllocations: boolean;

  constructor(driver: string, device: Device) {
    this.driver = driver;
    this.attributes = byDomain(driver, device.attributes, attributeValue);
    this.capacity = byDomain(driver, device.capacity, ({ value }) => celQuantity(value));
    this.allowMultipleAllocations = device.allowMultipleAllocations ?? false;
  }
}

const NONE: ReadonlyMap<string, unknown> = new Map();

/** Names without a domain are the driver's. A domain that the device says nothing about is empty, not an error. */
function byDomain<T>(
  driver: string,
  named: Readonly<Record<string, T>> | undefined,
  convert: (value: T) => unknown,
): Map<string, Map<string, unknown>> {
  const domains = new Map<string, Map<string, unknown>>();
  for (const [name, value] of Object.entries(named ?? {})) {
    const slash = name.indexOf('/');
    const domain = slash < 0 ? driver : name.slice(0, slash);
    const members = domains.get(domain) ?? new Map<string, unknown>();
    domains.set(domain, members.set(name.slice(slash + 1), convert(value)));
  }
  const known = domains.get.bind(domains);
  return Object.assign(domains, { get: (domain: string) => known(domain) ?? NONE });
}

function attributeValue(attribute: DeviceAttribute): unknown {
  const { bool, string, version } = attribute;
  const { int } = attribute as { int?: number };
  if (bool !== undefined) return bool;
  if (int !== undefined) return BigInt(int);
  if (version !== undefined) return celVersion(version);
  return string;
}

function environment() {
  const made = celEnvironment();
  const domains = (member: string) => `map<string, map<string, ${member}>>`;
  made.registerType(TYPE, {
    ctor: CelDevice,
    fields: {
      driver: 'string',
      attributes: domains('dyn'),
      capacity: domains(QUANTITY_TYPE),
      allowMultipleAllocations: 'bool',
    },
  } as never);
  return made.registerVariable('device', TYPE);
}

let shared: ReturnType<typeof environment> | undefined;

/** A compiled selector. What it says of a device is remembered as long as the device is. */
class Selector {
  readonly #program: CelProgram;
  readonly #known = new WeakMap<Device, boolean>();

  constructor(expression: string) {
    shared ??= environment();
    this.#program = compileIn(shared, expression);
    if (this.#program.type !== 'bool' && this.#program.type !== 'dyn') {
      throw new DeviceError(`must evaluate to bool, not ${this.#program.type}`);
    }
  }

  matches(driver: string, device: Device): boolean {
    const known = this.#known.get(device);
    if (known !== undefined) return known;
    const answer = this.#program({ device: new CelDevice(driver, device) });
    if (typeof answer !== 'boolean') throw new DeviceError('the selector must evaluate to bool');
    this.#known.set(device, answer);
    return answer;
  }
}

// Few expressions are in use at a time; who makes up ever new ones must not fill the memory.
const MAX_KNOWN = 1000;
const compiled = new Map<string, Selector | DeviceError>();

/** Whether the device is what the expression asks for. Throws DeviceError, worded for who wrote the expression. */
export function deviceMatches(expression: string, driver: string, device: Device): boolean {
  const selector = compiled.get(expression) ?? compile(expression);
  if (selector instanceof DeviceError) throw selector;
  try {
    return selector.matches(driver, device);
  } catch (err) {
    throw new DeviceError(`CEL runtime error: ${evaluationMessage(err)}`, { cause: err });
  }
}

function compile(expression: string): Selector | DeviceError {
  let result: Selector | DeviceError;
  try {
    result = new Selector(expression);
  } catch (err) {
    result = new DeviceError(`CEL compile error: ${errorMessage(err)}`, { cause: err });
  }
  if (compiled.size >= MAX_KNOWN) compiled.clear();
  compiled.set(expression, result);
  return result;
}
