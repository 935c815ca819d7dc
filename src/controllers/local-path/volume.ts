import type {
  Draft,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../api/types.ts';
import { classOf } from '../volume-class.ts';

export const PROVISIONER = 'rancher.io/local-path';
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
export const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
/** Keeps a volume until its directory is gone, whoever deletes it (KEP-2644). */
export const CLEANUP = 'external-provisioner.volume.kubernetes.io/finalizer';
export const HELPER_LABEL = 'local.path.provisioner/helper';
export const ABOUT = 'local.path.provisioner/about';
const HOSTNAME = 'kubernetes.io/hostname';
const NAMESPACE = 'kube-system';

export interface LocalPathOptions {
  /** Where the directories are made, on every node. */
  readonly directory: string;
  /** An image with sh, mkdir and rm. */
  readonly image: string;
}

const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';

export function isDefault({ metadata }: StorageClass): boolean {
  return metadata.annotations?.[DEFAULT_CLASS] === 'true';
}

/** The class that makes a claim just work: the volume is made where the Pod comes to be. */
export function defaultClass(forAll: boolean): Draft<StorageClass> {
  const annotations = forAll ? { [DEFAULT_CLASS]: 'true' } : {};
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'local-path', annotations },
    provisioner: PROVISIONER,
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'WaitForFirstConsumer',
  };
}

export function volumeName(claim: PersistentVolumeClaim): string {
  return `pvc-${claim.metadata.uid}`;
}

/** What such a volume cannot be; undefined: the claim can be served. */
export function unsupported({ spec }: PersistentVolumeClaim): string | undefined {
  if (spec?.selector) return 'claim.Spec.Selector is not supported';
  if (spec?.volumeMode === 'Block') return 'block volumes are not supported';
  if (spec?.dataSourceRef ?? spec?.dataSource) return 'data sources are not supported';
  const single = ['ReadWriteOnce', 'ReadWriteOncePod'];
  return spec?.accessModes?.every((mode) => single.includes(mode))
    ? undefined
    : 'NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes';
}

/** The volume for a claim on a node. Pure. */
export function volumeFor(
  claim: PersistentVolumeClaim,
  { node, storageClass }: { node: Node; storageClass: StorageClass },
  { directory }: LocalPathOptions,
): Draft<PersistentVolume> {
  const { namespace, name, uid } = claim.metadata;
  const host = node.metadata.labels?.[HOSTNAME] ?? node.metadata.name;
  const onNode = { key: HOSTNAME, operator: 'In', values: [host] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: volumeName(claim),
      annotations: { [PROVISIONED_BY]: PROVISIONER, [ABOUT]: node.metadata.name },
      finalizers: [CLEANUP],
    },
    spec: {
      accessModes: claim.spec?.accessModes ?? [],
      capacity: { storage: claim.spec?.resources?.requests?.storage ?? '0' },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      hostPath: {
        path: `${directory}/${[volumeName(claim), namespace, name].join('_')}`,
        type: 'DirectoryOrCreate',
      },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: classOf(claim),
      volumeMode: 'Filesystem',
    },
  };
}

export type Task = 'create' | 'delete';

export function helperKey(task: Task, volume: string) {
  return { namespace: NAMESPACE, name: `helper-pod-${task}-${volume}` };
}

const SCRIPTS: Readonly<Record<Task, string>> = {
  // Anybody may write: the volume's Pod may run as any user.
  create: 'mkdir -m 0777 -p "$VOL_DIR"',
  delete: 'rm -rf "$VOL_DIR"',
};

/** A Pod that makes or removes the directory of a volume, on the node that has it. Pure. */
export function helperPod(
  task: Task,
  volume: { name: string; path: string; node: string; about: string },
  { directory, image }: LocalPathOptions,
): Draft<Pod> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...helperKey(task, volume.name),
      labels: { [HELPER_LABEL]: task },
      annotations: { [ABOUT]: volume.about },
    },
    spec: {
      nodeName: volume.node,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'helper-pod',
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-c', SCRIPTS[task]],
          env: [{ name: 'VOL_DIR', value: volume.path }],
          volumeMounts: [{ name: 'data', mountPath: directory }],
        },
      ],
      volumes: [{ name: 'data', hostPath: { path: directory, type: 'DirectoryOrCreate' } }],
    },
  };
}

/** Ours, and inside our directory: nothing else is ever removed. */
export function isOurs(volume: PersistentVolume, { directory }: LocalPathOptions): boolean {
  const path = volume.spec?.hostPath?.path ?? '';
  return (
    volume.metadata.annotations?.[PROVISIONED_BY] === PROVISIONER &&
    path.startsWith(`${directory}/pvc-`) &&
    !path.slice(directory.length + 1).includes('/')
  );
}
