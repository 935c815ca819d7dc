import { type FieldError, invalid } from '../../../api/field-errors.ts';
import { dns1123Subdomain } from '../../../api/names.ts';
import type { PodSpec } from '../../../api/types.ts';
import { checked } from '../validation.ts';
import { contextsOf } from './validate-os.ts';

type Options = NonNullable<NonNullable<PodSpec['securityContext']>['windowsOptions']>;

const MAX_CREDENTIAL_KIB = 64;
const MAX_DOMAIN = 256;
const MAX_USER = 104;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;
const NETBIOS = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const DNS = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const ONLY_DOTS = /^[. ]+$/;
const NOT_IN_USER = /["/\\:;|=,+*?<>@[\]]/;

/** What Pods say about Windows, whatever system they are for (core validation validateWindowsSecurityContextOptions). */
export function validateWindows(spec: PodSpec, path: string): FieldError[] {
  const options = contextsOf(spec, path).flatMap(({ context, at }) =>
    context?.windowsOptions ? validateOptions(context.windowsOptions, `${at}.windowsOptions`) : [],
  );
  return [...options, ...validateHostProcess(spec, path)];
}

function validateOptions(options: Options, path: string): FieldError[] {
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: spec, runAsUserName: user } = options;
  return [
    ...(name === undefined
      ? []
      : checked(name, dns1123Subdomain, `${path}.gmsaCredentialSpecName`)),
    ...(spec === undefined ? [] : checked(spec, credentialProblems, `${path}.gmsaCredentialSpec`)),
    ...(user === undefined ? [] : checked(user, userNameProblems, `${path}.runAsUserName`)),
  ];
}

function credentialProblems(spec: string): string[] {
  if (spec === '') return ['gmsaCredentialSpec cannot be an empty string'];
  if (Buffer.byteLength(spec) <= MAX_CREDENTIAL_KIB * 1024) return [];
  return [`gmsaCredentialSpec size must be under ${MAX_CREDENTIAL_KIB} KiB`];
}

/** `DOMAIN\user` or `user`. */
function userNameProblems(name: string): string[] {
  if (name === '') return ['runAsUserName cannot be an empty string'];
  if (CONTROL.test(name)) return ['runAsUserName cannot contain control characters'];
  const parts = name.split('\\');
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash'];
  const domain = parts.length === 2 ? parts[0] : undefined;
  return [
    ...(domain === undefined ? [] : domainProblems(domain)),
    ...userProblems(parts.at(-1) ?? ''),
  ];
}

function domainProblems(domain: string): string[] {
  const out: string[] = [];
  if (Buffer.byteLength(domain) >= MAX_DOMAIN) {
    out.push(`runAsUserName's Domain length must be under ${MAX_DOMAIN} characters`);
  }
  if (!NETBIOS.test(domain) && !DNS.test(domain)) {
    out.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  return out;
}

function userProblems(user: string): string[] {
  const out: string[] = [];
  if (user === '') out.push("runAsUserName's User cannot be empty");
  if (Buffer.byteLength(user) > MAX_USER) {
    out.push(`runAsUserName's User length must not be longer than ${MAX_USER} characters`);
  }
  if (ONLY_DOTS.test(user)) {
    out.push("runAsUserName's User cannot contain only periods or spaces");
  }
  if (NOT_IN_USER.test(user)) {
    out.push(`runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`);
  }
  return out;
}

/** Containers that are processes of their node are that all together, and share its network. */
function validateHostProcess(spec: PodSpec, path: string): FieldError[] {
  const [pod, ...containers] = contextsOf(spec, path);
  const ofPod = pod?.context?.windowsOptions?.hostProcess;
  const out: FieldError[] = [];
  let count = 0;
  for (const { context, at } of containers) {
    const own = context?.windowsOptions?.hostProcess;
    if (own !== undefined && ofPod !== undefined && own !== ofPod) {
      const detail = `pod hostProcess value must be identical if both are specified, was ${ofPod}`;
      out.push(invalid(`${at}.windowsOptions.hostProcess`, own, detail));
    }
    if (own ?? ofPod) count += 1;
  }
  if (count === 0) return out;
  if (count !== containers.length) {
    const detail =
      'If pod contains any hostProcess containers then all containers must be HostProcess containers';
    out.push(invalid(path, '', detail));
  }
  if (!spec.hostNetwork) {
    const detail = 'hostNetwork must be true if pod contains any hostProcess containers';
    out.push(invalid(`${path}.hostNetwork`, false, detail));
  }
  return out;
}
