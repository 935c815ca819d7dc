import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { parseYaml } from '../../api/yaml.ts';
import {
  type AdmissionConfiguration,
  admissionConfigurationOf,
} from '../../apiserver/admission-configuration.ts';
import { ApiServer } from '../../apiserver/apiserver.ts';
import { COMPACTION_INTERVAL_MS } from '../../apiserver/compactor.ts';
import {
  type ApiServerOptions,
  type LiveIdentity,
  OPTIONAL_APIS,
  parsePortRange,
  parseRuntimeConfig,
  type RequestHeaderOptions,
  type ServiceAccountOptions,
} from '../../apiserver/options.ts';
import { followFiles } from '../../http/follow-files.ts';
import { type SnapshotSchedule, snapshotPeriodically } from '../../storage/periodic-snapshots.ts';
import type { Storage } from '../../storage/storage.ts';
import { realClock } from '../../util/clock.ts';
import { configurationHash } from '../../util/configuration-hash.ts';
import { parseDuration } from '../../util/duration.ts';
import { errorMessage } from '../../util/errors.ts';
import { shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger, type Logger } from '../../util/log.ts';
import { type IdentityFlags, identityFlags, identityOptions } from '../apiserver-identity.ts';
import {
  auditOptions,
  encryptionRules,
  type RecordingFlags,
  recordingFlags,
} from '../apiserver-recording.ts';
import { followConfigurations } from '../apiserver-reload.ts';
import { API_SERVER_FIXED } from '../fixed-flags.ts';
import { addEtcdOptions, type EtcdFlags, etcdOptions } from '../store-options.ts';

interface Flags extends EtcdFlags, RecordingFlags, IdentityFlags {
  dataDir?: string;
  etcdCompactionInterval: number;
  snapshotDir?: string;
  snapshotInterval: number;
  snapshotRetention: number;
  securePort: number;
  bindAddress: string;
  advertiseAddress?: string;
  tlsCertFile: string;
  tlsPrivateKeyFile: string;
  clientCaFile?: string;
  kubeletClientCertificate?: string;
  kubeletClientKey?: string;
  kubeletCertificateAuthority?: string;
  proxyClientCertFile?: string;
  proxyClientKeyFile?: string;
  requestheaderClientCaFile?: string;
  requestheaderAllowedNames: string;
  serviceAccountKeyFile: string[];
  serviceAccountSigningKeyFile?: string;
  serviceAccountIssuer?: string;
  apiAudiences?: string;
  serviceClusterIpRange: string;
  serviceNodePortRange: string;
  maxRequestsInflight: number;
  maxMutatingRequestsInflight: number;
  enableBootstrapTokenAuth: string | boolean;
  runtimeConfig: string;
  enableAdmissionPlugins?: string;
  disableAdmissionPlugins?: string;
  admissionControlConfigFile?: string;
  shutdownDelayDuration: number;
  v: number;
}

/** `k8ts apiserver`: flags under upstream's names, and `--data-dir` for the embedded store. */
export function command(): Command {
  const collect = (value: string, all: string[]): string[] => [...all, value];
  const made = addEtcdOptions(new Command('apiserver'))
    .option('--data-dir <dir>', 'directory of the embedded store, instead of an etcd cluster')
    .option(
      '--etcd-compaction-interval <time>',
      'how long history is kept at least, with either store; 0: for ever',
      parseDuration,
      COMPACTION_INTERVAL_MS,
    )
    .option('--snapshot-dir <dir>', 'take snapshots of the store from time to time, into here')
    .option('--snapshot-interval <time>', 'how often', parseDuration, 12 * 3_600_000)
    .option('--snapshot-retention <n>', 'how many of them are kept', Number, 5)
    .option('--secure-port <port>', 'port to serve HTTPS on', Number, 6443)
    .option('--bind-address <ip>', 'address to listen on', '0.0.0.0')
    .option('--advertise-address <ip>', 'address under which the cluster reaches this server')
    .requiredOption('--tls-cert-file <file>', 'serving certificate')
    .requiredOption('--tls-private-key-file <file>', 'its key')
    .option('--client-ca-file <file>', 'authorities of client certificates')
    .option('--kubelet-client-certificate <file>', 'client certificate towards kubelets')
    .option('--kubelet-client-key <file>', 'its key')
    .option('--kubelet-certificate-authority <file>', 'authorities of kubelet certificates')
    .option('--proxy-client-cert-file <file>', 'client certificate towards aggregated servers')
    .option('--proxy-client-key-file <file>', 'its key')
    .option('--requestheader-client-ca-file <file>', 'authorities of front proxies')
    .option('--requestheader-allowed-names <list>', 'common names of front proxies', '')
    .option('--service-account-key-file <file>', 'keys that verify tokens', collect, [])
    .option('--service-account-signing-key-file <file>', 'key that signs tokens')
    .option('--service-account-issuer <url>', 'issuer of tokens')
    .option('--api-audiences <list>', 'audiences of tokens for this server')
    .option('--service-cluster-ip-range <cidr>', 'addresses of Services', '10.96.0.0/16')
    .option('--service-node-port-range <range>', 'ports of NodePort Services', '30000-32767')
    .option('--max-requests-inflight <n>', 'reads at once', Number, 400)
    .option(
      '--max-mutating-requests-inflight <n>',
      'writes at once, added to the reads',
      Number,
      200,
    )
    .option('--enable-bootstrap-token-auth [bool]', 'let holders of bootstrap tokens in', 'false')
    .option('--enable-admission-plugins <list>', 'besides those that are on by default')
    .option('--disable-admission-plugins <list>', 'of those that are on by default')
    .option('--runtime-config <list>', `optional APIs: ${OPTIONAL_APIS.join(', ')}=true`, '')
    .option('--admission-control-config-file <file>', 'AdmissionConfiguration: Pod Security')
    .option(
      '--shutdown-delay-duration <time>',
      'how long to serve on after being asked to end, not ready meanwhile',
      parseDuration,
      0,
    )
    .option('-v <level>', 'verbosity of the log', Number, 2);
  for (const option of API_SERVER_FIXED) made.addOption(option);
  return identityFlags(recordingFlags(made)).action((flags: Flags) => run(flags));
}

/** The one engine that the flags name; the other is not even loaded. */
async function openStorage(flags: Flags, log: Logger): Promise<Storage> {
  if (flags.etcdServers !== undefined) {
    if (flags.dataDir !== undefined) throw new Error('Only one of --data-dir and --etcd-servers');
    const { EtcdStorage } = await import('../../storage/etcd.ts');
    return new EtcdStorage(etcdOptions(flags.etcdServers, flags), { clock: realClock });
  }
  if (flags.dataDir === undefined)
    throw new Error('One of --data-dir and --etcd-servers is needed');
  const { LmdbStorage } = await import('../../storage/lmdb.ts');
  return LmdbStorage.open(flags.dataDir, { clock: realClock, log });
}

function serviceAccounts(flags: Flags): ServiceAccountOptions | undefined {
  const issuer = flags.serviceAccountIssuer;
  if (issuer === undefined) return undefined;
  const signing = read(flags.serviceAccountSigningKeyFile);
  const keys = flags.serviceAccountKeyFile.map((file) => createPublicKey(readFileSync(file)));
  if (keys.length === 0 && signing !== undefined) keys.push(createPublicKey(signing));
  return {
    issuer,
    audiences: flags.apiAudiences?.split(','),
    signingKey: signing === undefined ? undefined : createPrivateKey(signing),
    verificationKeys: keys,
  };
}

function requestHeader(flags: Flags): RequestHeaderOptions | undefined {
  const clientAuthority = read(flags.requestheaderClientCaFile);
  if (clientAuthority === undefined) return undefined;
  const allowedNames = flags.requestheaderAllowedNames.split(',').filter((name) => name !== '');
  return { clientAuthority, allowedNames };
}

function read(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readFileSync(file, 'utf8');
}

function snapshotSchedule(flags: Flags): SnapshotSchedule | undefined {
  const { snapshotDir, snapshotInterval: intervalMs, snapshotRetention: retention } = flags;
  if (!(intervalMs >= 60_000)) throw new Error('--snapshot-interval must be at least 1m');
  if (!(retention >= 1)) throw new Error('--snapshot-retention must be at least 1');
  return snapshotDir === undefined ? undefined : { directory: snapshotDir, intervalMs, retention };
}

/** Paths in it are meant from where it lies. */
async function admissionConfiguration(flags: Flags): Promise<AdmissionConfiguration> {
  const file = flags.admissionControlConfigFile;
  if (file === undefined) return {};
  const parse = (path: string) => parseYaml(readFileSync(path, 'utf8'));
  const plugin = (path: string) => parse(resolve(dirname(file), path));
  return admissionConfigurationOf(await parse(file), plugin);
}

async function encryptionOf(
  flags: Flags,
): Promise<Pick<ApiServerOptions, 'encryption' | 'encryptionHash'>> {
  const text = read(flags.encryptionProviderConfig);
  if (text === undefined) return {};
  return { encryption: await encryptionRules(text), encryptionHash: configurationHash(text) };
}

/** Who it is to whom, as the files say now. */
function identityOf(flags: Flags): LiveIdentity {
  return {
    certificate: readFileSync(flags.tlsCertFile, 'utf8'),
    key: readFileSync(flags.tlsPrivateKeyFile, 'utf8'),
    clientAuthority: read(flags.clientCaFile),
    kubelet: {
      certificate: read(flags.kubeletClientCertificate),
      key: read(flags.kubeletClientKey),
      authority: read(flags.kubeletCertificateAuthority),
    },
    frontProxy: {
      certificate: read(flags.proxyClientCertFile),
      key: read(flags.proxyClientKeyFile),
    },
    requestHeaderAuthority: read(flags.requestheaderClientCaFile),
  };
}

function identityFiles(flags: Flags): string[] {
  const all = [
    ...[flags.tlsCertFile, flags.tlsPrivateKeyFile, flags.clientCaFile],
    ...[flags.kubeletClientCertificate, flags.kubeletClientKey, flags.kubeletCertificateAuthority],
    ...[flags.proxyClientCertFile, flags.proxyClientKeyFile, flags.requestheaderClientCaFile],
  ];
  return all.filter((file) => file !== undefined);
}

/** What files say before the server is made from them: all that is written from then on is a change. */
interface KnownFiles {
  readonly identity: readonly string[];
  readonly encryption: readonly string[];
}

function knownFiles(flags: Flags): KnownFiles {
  const texts = (files: readonly (string | undefined)[]) =>
    files.flatMap((file) => read(file) ?? []);
  return {
    identity: texts(identityFiles(flags)),
    encryption: texts([flags.encryptionProviderConfig]),
  };
}

/** New certificates, authorities, encryption keys and configurations count without a restart. */
async function followFilesOf(
  flags: Flags,
  { server, log, known }: { server: ApiServer; log: Logger; known: KnownFiles },
  signal: AbortSignal,
): Promise<void> {
  const onError = (err: unknown) => {
    log.error({ err: errorMessage(err) }, 'Could not use a changed file');
  };
  const useIdentity = () => {
    server.useIdentity(identityOf(flags)).then(() => {
      log.info({ file: flags.tlsCertFile }, 'Using new certificates');
    }, onError);
  };
  const { encryptionProviderConfig } = flags;
  const useRules = ([text = '']: string[]) => {
    encryptionRules(text).then((rules) => {
      server.useEncryption(rules, configurationHash(text));
      log.info({ file: encryptionProviderConfig }, 'Encrypting by a new configuration');
    }, onError);
  };
  await Promise.all([
    followFiles(
      identityFiles(flags),
      { known: known.identity, onChange: useIdentity, onError },
      signal,
    ),
    encryptionProviderConfig &&
      followFiles(
        [encryptionProviderConfig],
        { known: known.encryption, onChange: useRules, onError },
        signal,
      ),
    followConfigurations(flags, { server, log }, signal),
  ]);
}

async function run(flags: Flags): Promise<void> {
  const log = createLogger('apiserver', flags.v);
  const signal = shutdownSignal(log);
  const schedule = snapshotSchedule(flags);
  const known = knownFiles(flags);
  const storage = await openStorage(flags, log);
  const deps = { storage, clock: realClock, log };
  const { certificate, key, clientAuthority, kubelet, frontProxy } = identityOf(flags);
  const server = new ApiServer(
    {
      listen: {
        host: flags.bindAddress,
        port: flags.securePort,
        ...{ certificate, key, clientAuthority },
      },
      ...{ kubelet, frontProxy },
      requestHeader: requestHeader(flags),
      serviceRanges: flags.serviceClusterIpRange.split(','),
      sharesStore: flags.etcdServers !== undefined,
      maxRequestsInFlight: flags.maxRequestsInflight + flags.maxMutatingRequestsInflight,
      nodePorts: parsePortRange(flags.serviceNodePortRange),
      serviceAccounts: serviceAccounts(flags),
      bootstrapTokens: String(flags.enableBootstrapTokenAuth) === 'true',
      admission: {
        enable: flags.enableAdmissionPlugins?.split(','),
        disable: flags.disableAdmissionPlugins?.split(','),
        ...(await admissionConfiguration(flags)),
      },
      audit: await auditOptions(flags),
      optionalApis: parseRuntimeConfig(flags.runtimeConfig),
      ...(await encryptionOf(flags)),
      shutdownDelayMs: flags.shutdownDelayDuration,
      compactionIntervalMs: flags.etcdCompactionInterval,
      ...(await identityOptions(flags)),
      advertise: `${flags.advertiseAddress ?? flags.bindAddress}:${flags.securePort}`,
    },
    deps,
  );
  // Snapshots end with the server, also when it fails.
  const ended = new AbortController();
  const ends = AbortSignal.any([signal, ended.signal]);
  const snapshots = schedule && snapshotPeriodically(deps, schedule, ends);
  const follow = followFilesOf(flags, { server, log, known }, ends);
  try {
    await server.run(signal);
  } finally {
    ended.abort();
    await Promise.all([snapshots, follow]);
    await storage.close();
  }
}
