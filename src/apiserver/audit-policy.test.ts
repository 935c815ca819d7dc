import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../api/yaml.ts';
import { type AuditPolicy, auditDecision, auditPolicyOf } from './audit-policy.ts';
import { parseRequestInfo } from './request-info.ts';

const policy: AuditPolicy = {
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', users: ['system:kube-proxy'], verbs: ['watch'] },
    { level: 'Metadata', resources: [{ group: '', resources: ['secrets', 'pods/*'] }] },
    { level: 'None', nonResourceURLs: ['/healthz*'] },
    { level: 'Request', resources: [{ group: 'apps', resourceNames: ['web'] }] },
    { level: 'RequestResponse', namespaces: ['audited'], omitStages: ['ResponseStarted'] },
  ],
};

const level = (user: string, method: string, path: string) => {
  const [at = '', query = ''] = path.split('?');
  const info = parseRequestInfo(method, at, new URLSearchParams(query));
  return auditDecision(policy, { name: user, groups: [] }, info).level;
};

describe('auditDecision', () => {
  it.each([
    ['system:kube-proxy', 'GET', '/api/v1/services?watch=1', 'None'],
    ['a', 'GET', '/api/v1/namespaces/x/secrets/y', 'Metadata'],
    ['a', 'GET', '/api/v1/namespaces/x/pods/y/log', 'Metadata'],
    ['a', 'GET', '/healthz/ping', 'None'],
    ['a', 'GET', '/apis/apps/v1/namespaces/x/deployments/web', 'Request'],
    ['a', 'GET', '/apis/apps/v1/namespaces/x/deployments/other', 'None'],
    ['a', 'GET', '/api/v1/namespaces/audited/pods/y', 'RequestResponse'],
  ])('of %s %s %s is %s', (user, method, path, wanted) => {
    expect(level(user, method, path)).toBe(wanted);
  });
});

describe('auditPolicyOf', () => {
  it('refuses what is no policy, by name', () => {
    const base = { kind: 'Policy', apiVersion: 'audit.k8s.io/v1' };
    expect(() => auditPolicyOf({})).toThrow('audit.k8s.io/v1 Policy');
    expect(() => auditPolicyOf({ ...base, rules: [{ level: 'All' }] })).toThrow('rules[0].level');
  });
});

describe('deploy/audit-policy.yaml', () => {
  const file = resolve(import.meta.dirname, '../../deploy/audit-policy.yaml');
  it.each([
    ['a', 'GET', '/api/v1/namespaces/x/secrets/y', 'Metadata'],
    ['a', 'POST', '/api/v1/namespaces/x/configmaps', 'Metadata'],
    ['a', 'POST', '/apis/apps/v1/namespaces/x/deployments', 'Request'],
    ['a', 'GET', '/api/v1/namespaces/x/pods/y/exec', 'Metadata'],
    ['a', 'GET', '/api/v1/pods', 'Metadata'],
    ['a', 'GET', '/readyz', 'None'],
    ['system:node:n', 'GET', '/api/v1/pods?watch=1', 'None'],
    ['system:node:n', 'PATCH', '/api/v1/namespaces/x/pods/y/status', 'None'],
    ['system:kube-scheduler', 'POST', '/api/v1/namespaces/x/pods/y/binding', 'Request'],
    ['system:kube-scheduler', 'PUT', '/apis/coordination.k8s.io/v1/namespaces/x/leases/y', 'None'],
  ])('%s %s %s: %s', async (name, method, path, wanted) => {
    const [at = '', query = ''] = path.split('?');
    const own = auditPolicyOf(await parseYaml(readFileSync(file, 'utf8')));
    const groups = name.startsWith('system:node:') ? ['system:nodes'] : [];
    const info = parseRequestInfo(method, at, new URLSearchParams(query));
    expect(auditDecision(own, { name, groups }, info).level).toBe(wanted);
  });
});
