import { ETCD_IMAGE, K8TS_IMAGE } from '../../src/cluster/settings.ts';
import { componentFiles, k8tsFiles, librariesOf, networkTools, nodeFiles } from './k8ts-files.ts';
import type { ImageConfig } from './oci.ts';
import type { TarEntry } from './tar.ts';

/** An image that the cluster or its demo needs. */
export interface ImageDefinition {
  /** As Pods name it. `localhost/` says that no registry has it. */
  readonly name: string;
  /** What changes least comes first. */
  readonly layers: () => TarEntry[][];
  readonly config: ImageConfig;
  /** A program without which the image is left out: not every machine has it. */
  readonly needs?: string;
}

const ETCD = '/usr/bin/etcd';

// Serves one page that holds the Pod's name; `exec` makes httpd the process that signals reach.
const WEB_SCRIPT = `#!/bin/sh
mkdir -p /tmp/www
echo "$HOSTNAME" > /tmp/www/index.html
exec httpd -f -p "\${PORT:-8080}" -h /tmp/www
`;

/** File name of the archive, without ending → image. The programs are Debian's, statically linked, but for Node.js. */
export const IMAGES: Readonly<Record<string, ImageDefinition>> = {
  // catatonit -P waits for ever and reaps orphans: what a sandbox must do.
  pause: {
    name: 'localhost/k8ts/pause:1',
    layers: () => [[program('pause', '/usr/bin/catatonit')]],
    config: { Entrypoint: ['/pause', '-P'] },
  },
  busybox: {
    name: 'localhost/k8ts/busybox:1',
    layers: () => [busybox()],
    config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
  },
  web: {
    name: 'localhost/k8ts/web:1',
    layers: () => [busybox(), [text('web', WEB_SCRIPT, 0o755)]],
    config: {
      Entrypoint: ['/web'],
      Env: ['PATH=/bin'],
      ExposedPorts: { '8080/tcp': {} },
    },
  },
  // What a control plane in static Pods keeps its state in.
  etcd: {
    name: ETCD_IMAGE,
    layers: () => [
      [
        program(ETCD.slice(1), ETCD),
        ...librariesOf(ETCD).map((file) => program(file.slice(1), file)),
      ],
    ],
    config: { Entrypoint: [ETCD], Env: ['PATH=/usr/bin'] },
    needs: ETCD,
  },
  // The arguments of a container are those of k8ts: `args: [dns, --port=53]`; or it is started by upstream's name of a
  // component: `command: [kube-apiserver, --secure-port=6443]`.
  k8ts: {
    name: K8TS_IMAGE,
    layers: () => [
      [...nodeFiles(), ...networkTools()],
      [...k8tsFiles(), ...componentFiles()],
    ],
    config: {
      Entrypoint: [
        '/usr/bin/node',
        '--disable-warning=ExperimentalWarning',
        '/k8ts/dist/lib/cli.js',
      ],
      Env: ['PATH=/usr/bin:/usr/sbin'],
    },
  },
};

/** A root file system in which every applet of busybox has its name. */
function busybox(): TarEntry[] {
  return [
    directory('bin/'),
    directory('etc/'),
    directory('root/', 0o700),
    directory('tmp/', 0o1777),
    directory('var/'),
    program('bin/busybox', '/bin/busybox'),
    ...APPLETS.map((name) => ({ path: `bin/${name}`, mode: 0o777, link: 'busybox' })),
    text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    text('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
  ];
}

const APPLETS = (
  'awk base64 basename cat chmod chown cp cut date dd df dirname du echo env expr false find free grep gunzip gzip ' +
  'head hexdump hostname httpd id ip kill ln ls md5sum mkdir mkfifo mktemp mount mv nc nslookup od ping printf ps ' +
  'pwd readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat stty sync tail tar tee telnet test time timeout ' +
  'top touch tr true truncate tty uname uniq uptime vi wc wget which whoami xargs yes'
).split(' ');

function program(path: string, from: string): TarEntry {
  return { path, mode: 0o755, from: { file: from } };
}

function text(path: string, content: string, mode = 0o644): TarEntry {
  return { path, mode, content: Buffer.from(content) };
}

function directory(path: string, mode = 0o755): TarEntry {
  return { path, mode };
}
