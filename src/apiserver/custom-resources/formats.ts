import { isIP, isIPv4, isIPv6 } from 'node:net';

/** The formats that upstream checks; others mean nothing. */
const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) =>
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value) &&
    !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)),
  duration: (value) => /^[+-]?(0|(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+)$/.test(value),
  byte: (value) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value),
  uuid: (value) => /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value),
  email: (value) => /^[^@\s]+@[^@\s]+$/.test(value),
  hostname: (value) => /^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?$/i.test(value),
  ipv4: isIPv4,
  ipv6: isIPv6,
  ip: (value) => isIP(value) !== 0,
  cidr: (value) => {
    const [address = '', bits = '', ...rest] = value.split('/');
    const width = isIP(address) === 4 ? 32 : 128;
    return rest.length === 0 && isIP(address) !== 0 && /^\d+$/.test(bits) && Number(bits) <= width;
  },
  uri: (value) => URL.canParse(value),
  mac: (value) => /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(value),
};

export function checkFormat(format: string, value: string): boolean {
  return !Object.hasOwn(FORMATS, format) || FORMATS[format]?.(value) !== false;
}
