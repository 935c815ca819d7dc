const podTemplate = {
  metadata: { labels: { app: 'a' } },
  spec: { containers: [{ name: 'c', image: 'i' }] },
};
const selector = { matchLabels: { app: 'a' } };
const webhook = {
  name: 'a.example.com',
  clientConfig: { url: 'https://example.com' },
  admissionReviewVersions: ['v1'],
  sideEffects: 'None',
};
const claimSpec = {
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: '1Gi' } },
};
const rule = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
const subject = { kind: 'User', name: 'u' };
const REQUEST = Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\n').toString('base64');

/** An object of a kind that the server takes: root of its path, kind, content, name (default: sample). */
export type Sample = [path: string, kind: string, body: Record<string, unknown>, name?: string];

export const NAMESPACED_SAMPLES: Sample[] = [
  ['api/v1', 'ConfigMap', { data: { a: '1' } }],
  [
    'api/v1',
    'Endpoints',
    { subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] }] },
  ],
  ['api/v1', 'Event', { involvedObject: { kind: 'Pod', name: 'a', namespace: 'default' } }],
  ['api/v1', 'LimitRange', { spec: { limits: [{ type: 'Container', max: { cpu: '1' } }] } }],
  ['api/v1', 'PersistentVolumeClaim', { spec: claimSpec }],
  ['api/v1', 'Pod', { spec: podTemplate.spec }],
  ['api/v1', 'PodTemplate', { template: podTemplate }],
  ['api/v1', 'ReplicationController', { spec: { selector: { app: 'a' }, template: podTemplate } }],
  ['api/v1', 'ResourceQuota', { spec: { hard: { pods: '5' } } }],
  ['api/v1', 'Secret', { stringData: { a: '1' } }],
  ['api/v1', 'ServiceAccount', {}],
  ['api/v1', 'Service', { spec: { clusterIP: 'None', ports: [{ port: 80 }] } }],
  ['apis/apps/v1', 'ControllerRevision', { revision: 1, data: { a: 1 } }],
  ['apis/apps/v1', 'DaemonSet', { spec: { selector, template: podTemplate } }],
  ['apis/apps/v1', 'Deployment', { spec: { selector, template: podTemplate } }],
  ['apis/apps/v1', 'ReplicaSet', { spec: { selector, template: podTemplate } }],
  ['apis/apps/v1', 'StatefulSet', { spec: { selector, template: podTemplate, serviceName: 's' } }],
  ...(['v1', 'v2'] as const).map(
    (version): Sample => [
      `apis/autoscaling/${version}`,
      'HorizontalPodAutoscaler',
      { spec: { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'a' } } },
    ],
  ),
  [
    'apis/batch/v1',
    'Job',
    { spec: { template: { spec: { ...podTemplate.spec, restartPolicy: 'Never' } } } },
  ],
  [
    'apis/batch/v1',
    'CronJob',
    {
      spec: {
        schedule: '*/5 * * * *',
        jobTemplate: {
          spec: { template: { spec: { ...podTemplate.spec, restartPolicy: 'Never' } } },
        },
      },
    },
  ],
  ['apis/coordination.k8s.io/v1', 'Lease', { spec: { holderIdentity: 'me' } }],
  [
    'apis/discovery.k8s.io/v1',
    'EndpointSlice',
    { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'] }], ports: [] },
  ],
  [
    'apis/events.k8s.io/v1',
    'Event',
    {
      regarding: { kind: 'Pod', name: 'a', namespace: 'default' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reason: 'Tested',
      action: 'Test',
      type: 'Normal',
      reportingController: 'example.com/tester',
      reportingInstance: 'me',
    },
    'event',
  ],
  [
    'apis/networking.k8s.io/v1',
    'Ingress',
    { spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } } },
  ],
  ['apis/networking.k8s.io/v1', 'NetworkPolicy', { spec: { podSelector: {} } }],
  ['apis/policy/v1', 'PodDisruptionBudget', { spec: { minAvailable: 1, selector } }],
  ['apis/rbac.authorization.k8s.io/v1', 'Role', { rules: [rule] }],
  [
    'apis/rbac.authorization.k8s.io/v1',
    'RoleBinding',
    { roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [subject] },
  ],
  [
    'apis/resource.k8s.io/v1',
    'ResourceClaim',
    { spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'c' } }] } } },
  ],
  [
    'apis/resource.k8s.io/v1',
    'ResourceClaimTemplate',
    {
      spec: { spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'c' } }] } } },
    },
  ],
  ['apis/storage.k8s.io/v1', 'CSIStorageCapacity', { storageClassName: 'fast' }],
];

const match = {
  resourceRules: [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] },
  ],
};

export const CLUSTER_SAMPLES: Sample[] = [
  ['api/v1', 'Namespace', {}],
  ['api/v1', 'Node', {}],
  [
    'api/v1',
    'PersistentVolume',
    {
      spec: {
        ...claimSpec,
        resources: undefined,
        capacity: { storage: '1Gi' },
        hostPath: { path: '/x' },
      },
    },
  ],
  ['apis/admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', { webhooks: [webhook] }],
  [
    'apis/admissionregistration.k8s.io/v1',
    'ValidatingWebhookConfiguration',
    { webhooks: [webhook] },
  ],
  [
    'apis/admissionregistration.k8s.io/v1',
    'ValidatingAdmissionPolicy',
    { spec: { matchConstraints: match, validations: [{ expression: 'true' }] } },
  ],
  [
    'apis/admissionregistration.k8s.io/v1',
    'ValidatingAdmissionPolicyBinding',
    { spec: { policyName: 'p', validationActions: ['Deny'] } },
  ],
  [
    'apis/admissionregistration.k8s.io/v1',
    'MutatingAdmissionPolicy',
    {
      spec: {
        reinvocationPolicy: 'Never',
        matchConstraints: match,
        mutations: [
          { patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{}' } },
        ],
      },
    },
  ],
  [
    'apis/admissionregistration.k8s.io/v1',
    'MutatingAdmissionPolicyBinding',
    { spec: { policyName: 'p' } },
  ],
  [
    'apis/apiregistration.k8s.io/v1',
    'APIService',
    {
      spec: {
        group: 'sample.io',
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 10,
        service: { namespace: 'default', name: 's' },
        insecureSkipTLSVerify: true,
      },
    },
    'v1.sample.io',
  ],
  [
    'apis/certificates.k8s.io/v1',
    'CertificateSigningRequest',
    { spec: { request: REQUEST, signerName: 'example.com/x', usages: ['client auth'] } },
  ],
  [
    'apis/flowcontrol.apiserver.k8s.io/v1',
    'FlowSchema',
    {
      spec: {
        priorityLevelConfiguration: { name: 'global-default' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name: 'u' } }],
            nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }],
          },
        ],
      },
    },
  ],
  [
    'apis/flowcontrol.apiserver.k8s.io/v1',
    'PriorityLevelConfiguration',
    { spec: { type: 'Limited', limited: { limitResponse: { type: 'Reject' } } } },
  ],
  ['apis/networking.k8s.io/v1', 'IngressClass', { spec: { controller: 'example.com/c' } }],
  [
    'apis/networking.k8s.io/v1',
    'IPAddress',
    { spec: { parentRef: { resource: 'services', namespace: 'default', name: 's' } } },
    '192.168.7.7',
  ],
  ['apis/networking.k8s.io/v1', 'ServiceCIDR', { spec: { cidrs: ['10.200.0.0/24'] } }],
  ['apis/node.k8s.io/v1', 'RuntimeClass', { handler: 'runc' }],
  ['apis/rbac.authorization.k8s.io/v1', 'ClusterRole', { rules: [rule] }],
  [
    'apis/rbac.authorization.k8s.io/v1',
    'ClusterRoleBinding',
    { roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [subject] },
  ],
  ['apis/resource.k8s.io/v1', 'DeviceClass', { spec: {} }],
  [
    'apis/resource.k8s.io/v1',
    'ResourceSlice',
    {
      spec: {
        driver: 'd.example.com',
        nodeName: 'n',
        pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
        devices: [{ name: 'd0' }],
      },
    },
  ],
  ['apis/scheduling.k8s.io/v1', 'PriorityClass', { value: 10 }],
  ['apis/storage.k8s.io/v1', 'CSIDriver', { spec: {} }, 'd.example.com'],
  ['apis/storage.k8s.io/v1', 'CSINode', { spec: { drivers: [] } }],
  ['apis/storage.k8s.io/v1', 'StorageClass', { provisioner: 'example.com/p' }],
  [
    'apis/storage.k8s.io/v1',
    'VolumeAttachment',
    {
      spec: { attacher: 'd.example.com', nodeName: 'n', source: { persistentVolumeName: 'v' } },
    },
  ],
  [
    'apis/storage.k8s.io/v1',
    'VolumeAttributesClass',
    { driverName: 'd.example.com', parameters: { a: '1' } },
  ],
];
