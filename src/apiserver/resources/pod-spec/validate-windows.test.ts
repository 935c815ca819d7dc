import { describe, expect, it } from 'vitest';
import type { PodSpec } from '../../../api/types.ts';
import { validateWindows } from './validate-windows.ts';

const container = (windowsOptions?: object) => ({
  ...{ name: 'a', image: 'b' },
  ...(windowsOptions ? { securityContext: { windowsOptions } } : {}),
});
const check = (spec: object) =>
  validateWindows(spec as PodSpec, 'spec').map(({ field, message }) => `${field}: ${message}`);
const options = (windowsOptions: object) =>
  check({ containers: [container(windowsOptions)] }).join('\n');

describe('validateWindows', () => {
  it.each(['user', 'DOMAIN\\user', 'sub.example.com\\A user', 'NT AUTHORITY\\SYSTEM'])(
    'takes %s as a user',
    (runAsUserName) => expect(options({ runAsUserName })).toBe(''),
  );

  it.each([
    ['', 'cannot be an empty string'],
    ['a\tb', 'cannot contain control characters'],
    ['a\\b\\c', 'cannot contain more than one backslash'],
    ['.dot:\\u', "Domain doesn't match the NetBios nor the DNS format"],
    ['\\u', "Domain doesn't match the NetBios nor the DNS format"],
    [`${'a.'.repeat(130)}b\\u`, 'Domain length must be under 256 characters'],
    ['DOMAIN\\', 'User cannot be empty'],
    ['u'.repeat(105), 'User length must not be longer than 104 characters'],
    ['. .', 'User cannot contain only periods or spaces'],
    ['a@b', 'User cannot contain the following characters: "/\\:;|=,+*?<>@[]'],
  ])('refuses %j as a user', (runAsUserName, why) => {
    const found = options({ runAsUserName });
    expect(found).toContain('spec.containers[0].securityContext.windowsOptions.runAsUserName: ');
    expect(found).toContain(`runAsUserName${why.startsWith('c') ? ' ' : "'s "}${why}`);
  });

  it('judges credentials and their names, also those of the Pod', () => {
    const windowsOptions = { gmsaCredentialSpecName: 'Not A Name', gmsaCredentialSpec: '' };
    const found = check({ containers: [container()], securityContext: { windowsOptions } });
    expect(found.map((line) => line.split(':')[0])).toEqual([
      'spec.securityContext.windowsOptions.gmsaCredentialSpecName',
      'spec.securityContext.windowsOptions.gmsaCredentialSpec',
    ]);
    expect(options({ gmsaCredentialSpec: 'x'.repeat(64 * 1024) })).toBe('');
    expect(options({ gmsaCredentialSpec: 'x'.repeat(64 * 1024 + 1) })).toContain('under 64 KiB');
  });

  it('wants all containers to be processes of the node, in its network, or none', () => {
    const hostProcess = { hostProcess: true };
    const securityContext = { windowsOptions: hostProcess };
    const containers = [container(), container()];
    expect(check({ containers, securityContext, hostNetwork: true })).toEqual([]);
    expect(check({ containers, securityContext })[0]).toContain('spec.hostNetwork: ');
    const mixed = [container(hostProcess), container()];
    expect(check({ containers: mixed, hostNetwork: true })[0]).toContain('all containers must be');
    const other = [container({ hostProcess: false })];
    expect(check({ containers: other, securityContext, hostNetwork: true })[0]).toContain(
      'pod hostProcess value must be identical if both are specified, was true',
    );
  });
});
