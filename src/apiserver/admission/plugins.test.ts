import { describe, expect, it } from 'vitest';
import { admissionPlugins } from './plugins.ts';

const names = (options: Parameters<typeof admissionPlugins>[1] = {}) =>
  admissionPlugins({} as never, options).map(({ name }) => name);

describe('admissionPlugins', () => {
  it("are upstream's default ones, in upstream's order", () => {
    expect(names()).toEqual([
      ...['NamespaceLifecycle', 'LimitRanger', 'ServiceAccount', 'TaintNodesByCondition'],
      ...['PodSecurity', 'Priority', 'DefaultTolerationSeconds', 'PersistentVolumeClaimResize'],
      ...['RuntimeClass', 'DefaultStorageClass', 'StorageObjectInUseProtection'],
      ...['CertificateApproval', 'CertificateSigning', 'ClusterTrustBundleAttest'],
      'CertificateSubjectRestriction',
      ...['DefaultIngressClass', 'MutatingAdmissionPolicy', 'MutatingAdmissionWebhook'],
      ...['ValidatingAdmissionPolicy', 'ValidatingAdmissionWebhook', 'ResourceQuota'],
    ]);
  });

  it('can be switched on and off, whatever the order of the words', () => {
    const some = names({
      enable: ['DenyServiceExternalIPs', 'NodeRestriction'],
      disable: ['Priority'],
    });
    expect(some.indexOf('NodeRestriction')).toBe(some.indexOf('TaintNodesByCondition') - 1);
    expect(some).toContain('DenyServiceExternalIPs');
    expect(some).not.toContain('Priority');
    expect(() => names({ enable: ['Nonsense'] })).toThrow('Unknown admission plug-in: Nonsense');
    expect(() => names({ enable: ['Priority'], disable: ['Priority'] })).toThrow(
      'enabled and disabled',
    );
  });
});
