interface NotHere {
  readonly why: string;
  readonly alias?: string;
}

const OFF = 'upstream switches it off by default, and the API that it serves is not served here';
const NO_CLOUD = 'there is no cloud provider';

/** Upstream's controllers that this manager does not have. They may be switched off, not on. */
const NOT_HERE: Readonly<Record<string, NotHere>> = {
  'node-route-controller': {
    why: `${NO_CLOUD}; each node routes to the Pods of the others by itself`,
    alias: 'route',
  },
  'cloud-node-lifecycle-controller': { why: NO_CLOUD, alias: 'cloud-node-lifecycle' },
  'validatingadmissionpolicy-status-controller': { why: 'the API server does its work' },
  'selinux-warning-controller': {
    why: 'it warns of volumes that are mounted with SELinux labels, and none is here',
  },
  'storageversion-garbage-collector-controller': { why: OFF, alias: 'storage-version-gc' },
  'podcertificaterequest-cleaner-controller': { why: OFF },
  'podgroup-protection-controller': { why: OFF },
  'resourcepoolstatusrequest-controller': { why: OFF },
};

/** Why a controller of upstream's is not here, by either of its names; undefined for a name that upstream has not. */
export function whyNotHere(name: string): string | undefined {
  const found = NOT_HERE[name] ?? Object.values(NOT_HERE).find(({ alias }) => alias === name);
  return found?.why;
}
