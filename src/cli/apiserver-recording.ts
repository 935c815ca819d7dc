import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parseYaml } from '../api/yaml.ts';
import { auditPolicyOf } from '../apiserver/audit-policy.ts';
import type { AuditOptions } from '../apiserver/auditor.ts';
import { type EncryptionRule, encryptionRulesOf } from '../apiserver/encryption-rules.ts';
import { createClient } from '../client/rest-client.ts';

/** What the API server writes of its clients' doings and data: the audit log, and how values lie in the store. */
export interface RecordingFlags {
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxage: number;
  readonly auditLogMaxbackup: number;
  readonly auditLogMaxsize: number;
  readonly auditWebhookConfigFile?: string;
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
