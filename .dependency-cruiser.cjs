// Who may import whom. Short and deny by default: a folder names what it may use, everything else is an error.
const SHARED = {
  util: [],
  api: ['util'],
  pki: ['util'],
  host: ['util'],
  http: ['util', 'api', 'pki'],
  client: ['util', 'api', 'http', 'pki'],
  storage: ['util', 'api'],
  cel: ['util', 'api'],
};
const common = ['util', 'api', 'pki', 'http', 'client'];
const COMPONENTS = {
  apiserver: [...common, 'storage', 'cel'],
  scheduler: [...common, 'cel'],
  controllers: common,
  kubelet: [...common, 'host'],
  proxy: [...common, 'host'],
  dns: common,
  'metrics-server': common,
  cluster: [...common, 'host', 'storage'],
};
// library: the only place that may import it
const DOORWAYS = {
  'execa|systeminformation': '^src/host/',
  '@grpc/[^/]+': '^src/(util/grpc|kubelet/(runtime|plugins)/|storage/etcd)',
  lmdb: '^src/storage/',
  dockerode: '^src/kubelet/runtime/',
  '@kubernetes/client-node': '^src/api/',
  'pino|prom-client': '^src/util/',
  'jose|@peculiar/x509|reflect-metadata': '^src/pki/',
  '@noble/ciphers': '^src/apiserver/encryption/',
  ws: '^src/http/',
  yaml: '^src/api/',
  commander: '^src/cli/',
  'dns-packet': '^src/dns/',
  '@marcbachmann/cel-js': '^src/cel/',
};
const rule = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to });

module.exports = {
  forbidden: [
    ...Object.entries({ ...SHARED, ...COMPONENTS }).map(([folder, allowed]) =>
      rule(
        `${folder}-imports`,
        { path: `^src/${folder}/` },
        { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
        `${folder} may import: ${[folder, ...allowed].join(', ')}`,
      ),
    ),
    ...Object.entries(DOORWAYS).map(([lib, door]) =>
      rule(
        `doorway-${lib}`,
        { path: '^src/', pathNot: door },
        { path: `node_modules/(@types/)?(${lib})/` },
        `only ${door} imports ${lib}`,
      ),
    ),
    rule(
      'subfolders-are-private',
      { path: '^src/([^/]+)/' },
      { path: '^src/[^/]+/[^/]+/', pathNot: '^src/$1/' },
      'from outside a folder, import only the files directly in it',
    ),
    rule(
      'siblings',
      { path: '^src/(controllers|proxy)/([^/]+)/', pathNot: '[.]test[.]ts$' },
      { path: '^src/$1/[^/]+/', pathNot: '^src/$1/$2/' },
      'share through the parent folder',
    ),
    rule(
      'plugins-stand-alone',
      { path: '^src/scheduler/plugins/([^/.]+)[.]' },
      { path: '^src/scheduler/plugins/', pathNot: '^src/scheduler/plugins/$1[.]' },
      'share through src/scheduler/',
    ),
    rule(
      'types-only',
      {},
      { path: 'node_modules/@kubernetes/', dependencyTypesNot: ['type-only'] },
      'client-node is large: its types are welcome, its code is never loaded',
    ),
    rule('no-cycles', {}, { circular: true }, 'extract what both need'),
    rule(
      'no-test-code-in-product',
      { path: '^src/', pathNot: '[.](test|fake|contract|bench)[.]ts$' },
      { path: '^test/|[.](test|fake|contract|bench)[.]ts$' },
      'product code never imports test code',
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
  },
};
