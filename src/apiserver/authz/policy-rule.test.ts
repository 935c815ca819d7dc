import { describe, expect, it } from 'vitest';
import { parseRequestInfo } from '../request-info.ts';
import { ruleAllows, uncovered } from './policy-rule.ts';

const info = (method: string, url: string) => {
  const { pathname, searchParams } = new URL(url, 'http://server');
  return parseRequestInfo(method, pathname, searchParams);
};
const rule = (
  apiGroups: string[],
  resources: string[],
  verbs: string[],
  resourceNames?: string[],
) => ({
  apiGroups,
  resources,
  verbs,
  ...(resourceNames ? { resourceNames } : {}),
});

describe('ruleAllows', () => {
  it.each([
    [rule([''], ['pods'], ['get']), 'GET', '/api/v1/namespaces/a/pods/x', true],
    [rule([''], ['pods'], ['get']), 'GET', '/api/v1/namespaces/a/pods/x/log', false],
    [rule([''], ['pods/log'], ['get']), 'GET', '/api/v1/namespaces/a/pods/x/log', true],
    [rule(['*'], ['*'], ['*']), 'POST', '/apis/apps/v1/namespaces/a/deployments', true],
    [
      rule(['apps'], ['deployments'], ['list']),
      'GET',
      '/apis/apps/v1/deployments?watch=true',
      false,
    ],
    [
      rule([''], ['secrets'], ['watch'], ['s']),
      'GET',
      '/api/v1/secrets?watch=1&fieldSelector=metadata.name%3Ds',
      true,
    ],
    [rule([''], ['secrets'], ['watch'], ['s']), 'GET', '/api/v1/secrets?watch=1', false],
    [{ verbs: ['get'], nonResourceURLs: ['/healthz/*'] }, 'GET', '/healthz/etcd', true],
    [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }, 'GET', '/healthz/etcd', false],
    [rule(['*'], ['*'], ['*']), 'GET', '/metrics', false],
  ])('%j and %s %s: %s', (given, method, url, wanted) => {
    expect(ruleAllows(given, info(method, url))).toBe(wanted);
  });
});

describe('uncovered', () => {
  it('finds what is asked for beyond what is held', () => {
    const held = [rule([''], ['pods', 'secrets'], ['get', 'list'])];
    expect(uncovered(held, [rule([''], ['pods'], ['get'])])).toEqual([]);
    expect(uncovered(held, [rule([''], ['pods'], ['get', 'delete'])])).toEqual([
      rule([''], ['pods'], ['delete']),
    ]);
    expect(uncovered(held, [rule(['*'], ['pods'], ['get'])])).toHaveLength(1);
    expect(uncovered([rule(['*'], ['*'], ['*'])], held)).toEqual([]);
  });

  it('does not take a named right for one without names', () => {
    const held = [rule([''], ['secrets'], ['get'], ['mine'])];
    expect(uncovered(held, [rule([''], ['secrets'], ['get'], ['mine'])])).toEqual([]);
    expect(uncovered(held, [rule([''], ['secrets'], ['get'])])).toHaveLength(1);
  });
});
