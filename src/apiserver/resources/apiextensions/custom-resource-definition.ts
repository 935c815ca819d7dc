import { CUSTOM_RESOURCE_DEFINITIONS } from '../../../api/system-resource-types.ts';
import type { CustomResourceDefinition } from '../../../api/types.ts';
import { CLEANUP_FINALIZER } from '../../custom-resources/conditions.ts';
import { validateCrd, validateCrdUpdate } from '../../custom-resources/validate-crd.ts';
import { defineKind, withStatus } from '../kind.ts';

type Crd = CustomResourceDefinition;

function defaultCrd({ spec, status }: Crd): void {
  spec.names.singular ||= spec.names.kind.toLowerCase();
  spec.names.listKind ||= `${spec.names.kind}List`;
  spec.conversion ??= { strategy: 'None' };
  const service = spec.conversion.webhook?.clientConfig?.service;
  if (service) service.port ??= 443;
  if (!status) return;
  const stored = spec.versions.find((v) => v.storage)?.name;
  if (stored && !status.storedVersions?.length) status.storedVersions = [stored];
}

export const customResourceDefinitionKind = defineKind<Crd>({
  type: CUSTOM_RESOURCE_DEFINITIONS,
  package: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  storagePrefix: 'apiextensions.k8s.io/customresourcedefinitions',
  ...withStatus<Crd>({
    default: defaultCrd,
    validate: validateCrd,
    validateUpdate: validateCrdUpdate,
    prepareForCreate(crd) {
      // The server deletes the objects before the definition goes.
      crd.metadata.finalizers = [
        ...new Set([...(crd.metadata.finalizers ?? []), CLEANUP_FINALIZER]),
      ];
      const stored = crd.spec.versions.find((v) => v.storage)?.name;
      crd.status = { storedVersions: stored ? [stored] : [] } as NonNullable<Crd['status']>;
    },
    prepareForUpdate(crd, old) {
      crd.status = structuredClone(old.status ?? { storedVersions: [] }) as NonNullable<
        Crd['status']
      >;
      const stored = crd.spec.versions.find((v) => v.storage)?.name;
      const versions = crd.status.storedVersions ?? [];
      if (stored && !versions.includes(stored)) crd.status.storedVersions = [...versions, stored];
    },
    generationFields: ['spec'],
  }),
});
