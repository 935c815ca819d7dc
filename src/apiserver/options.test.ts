import { describe, expect, it } from 'vitest';
import { parseRuntimeConfig } from './options.ts';

describe('parseRuntimeConfig', () => {
  const api = 'storagemigration.k8s.io/v1beta1';

  it.each<[string, string[]]>([
    ['', []],
    [api, [api]],
    [`${api}=true`, [api]],
    [`${api}=true,${api}=false`, []],
  ])('%j switches on %j', (text, apis) => {
    expect(parseRuntimeConfig(text)).toEqual(apis);
  });

  it.each(['api/all=true', 'batch/v1=false', 'resource.k8s.io/v1beta2'])('refuses %s', (text) => {
    expect(() => parseRuntimeConfig(text)).toThrow('cannot be switched here');
  });

  it('refuses a value that is none', () => {
    expect(() => parseRuntimeConfig(`${api}=yes`)).toThrow('is true or false, not yes');
  });
});
