import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parseYaml } from '../api/yaml.ts';
import { DEFAULT_BATCHES } from '../apiserver/audit-batches.ts';
import { auditPolicyOf } from '../apiserver/audit-policy.ts';
import type { AuditOptions } from '../apiserver/auditor.ts';
import { type EncryptionRule, encryptionRulesOf } from '../apiserver/encryption-rules.ts';
import { createClient } from '../client/rest-client.ts';
import { parseDuration } from '../util/duration.ts';

/** What the API server writes of its clients' doings and data: the audit log, and how values lie in the store. */
export interface RecordingFlags {
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxage: number;
  readonly auditLogMaxbackup: number;
  readonly auditLogMaxsize: number;
  readonly auditWebhookConfigFile?: string;
  readonly auditWebhookBatchBufferSize: number;
  readonly auditWebhookBatchMaxSize: number;
  readonly auditWebhookBatchMaxWait: number;
  readonly auditWebhookInitialBackoff: number;
  readonly encryptionProviderConfig?: string;
}

export function recordingFlags(command: Command): Command {
  return command
    .option('--audit-policy-file <file>', 'what is recorded (audit.k8s.io/v1 Policy)')
    .option('--audit-log-path <file>', 'where it is recorded; - is standard output')
    .option('--audit-log-maxage <days>', 'how long old files are kept', Number, 0)
    .option('--audit-log-maxbackup <count>', 'how many old files are kept', Number, 0)
    .option('--audit-log-maxsize <megabytes>', 'when a new file is begun', Number, 0)
    .option('--audit-webhook-config-file <file>', 'kubeconfig of a server that is sent the events')
    .option(
      '--audit-webhook-batch-buffer-size <count>',
      'how many events may wait for it',
      Number,
      DEFAULT_BATCHES.buffer,
    )
    .option(
      '--audit-webhook-batch-max-size <count>',
      'how many it is sent at once',
      Number,
      DEFAULT_BATCHES.size,
    )
    .option(
      '--audit-webhook-batch-max-wait <time>',
      'how long the first of them waits',
      parseDuration,
      DEFAULT_BATCHES.waitMs,
    )
    .option(
      '--audit-webhook-initial-backoff <time>',
      'how long until the first of three more attempts',
      parseDuration,
      DEFAULT_BATCHES.backoffMs,
    )
    .option(
      '--encryption-provider-config <file>',
      'what is encrypted in the store (EncryptionConfiguration); changes count at once',
    );
}

/** Undefined: nothing is recorded. */
export async function auditOptions(flags: RecordingFlags): Promise<AuditOptions | undefined> {
  const { auditPolicyFile, auditLogPath, auditWebhookConfigFile } = flags;
  if (auditPolicyFile === undefined) return undefined;
  const policy = auditPolicyOf(await parseYaml(readFileSync(auditPolicyFile, 'utf8')));
  const logFile = auditLogPath && {
    path: auditLogPath,
    maxAgeDays: flags.auditLogMaxage,
    maxBackups: flags.auditLogMaxbackup,
    maxSizeMb: flags.auditLogMaxsize,
  };
  return {
    policy,
    ...(logFile ? { logFile } : {}),
    ...(auditWebhookConfigFile ? { send: await sender(auditWebhookConfigFile) } : {}),
    batches: {
      buffer: flags.auditWebhookBatchBufferSize,
      size: flags.auditWebhookBatchMaxSize,
      waitMs: flags.auditWebhookBatchMaxWait,
      backoffMs: flags.auditWebhookInitialBackoff,
    },
  };
}

async function sender(kubeconfig: string): Promise<AuditOptions['send']> {
  const client = await createClient(kubeconfig, { userAgent: 'kube-apiserver' });
  return async (body, signal) => {
    await client.raw('POST', '', body, signal);
  };
}

export async function encryptionRules(text: string): Promise<EncryptionRule[]> {
  return encryptionRulesOf(await parseYaml(text));
}
