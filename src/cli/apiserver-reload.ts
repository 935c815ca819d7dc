import { readFileSync } from 'node:fs';
import { parseYaml } from '../api/yaml.ts';
import type { ApiServer } from '../apiserver/apiserver.ts';
import { followFiles } from '../http/follow-files.ts';
import { configurationHash } from '../util/configuration-hash.ts';
import { errorMessage } from '../util/errors.ts';
import { jsonEqual } from '../util/json.ts';
import type { Logger } from '../util/log.ts';
import { authenticationOf, authorizersIn, type IdentityFlags } from './apiserver-identity.ts';

interface Deps {
  readonly server: ApiServer;
  readonly log: Logger;
}

interface Configuration {
  readonly what: 'authentication' | 'authorization';
  readonly file: string;
  /** Makes it count. Throws for what makes no sense. */
  readonly use: (data: unknown) => Promise<void>;
}

/** What --authentication-config and --authorization-config say anew counts without a restart. Works until aborted. */
export async function followConfigurations(
  flags: IdentityFlags,
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  const { authenticationConfig, authorizationConfig } = flags;
  const { server } = deps;
  const all: Configuration[] = [];
  if (authenticationConfig) {
    const use = (data: unknown) => server.useAuthentication(authenticationOf(flags, data), signal);
    all.push({ what: 'authentication', file: authenticationConfig, use });
  }
  if (authorizationConfig) {
    const use = async (data: unknown) => server.useAuthorization(await authorizersIn(data));
    all.push({ what: 'authorization', file: authorizationConfig, use });
  }
  await Promise.all(all.map((one) => follow(one, deps, signal)));
}

async function follow(
  { what, file, use }: Configuration,
  { server, log }: Deps,
  signal: AbortSignal,
): Promise<void> {
  const first = readFileSync(file, 'utf8');
  let known = await parseYaml(first);
  server.configurationRead(what, { status: 'first', hash: configurationHash(first) });
  const onError = (err: unknown): void => {
    if (signal.aborted) return;
    log.error(
      { file, err: errorMessage(err) },
      'Could not use a changed configuration; the one before goes on',
    );
    server.configurationRead(what, { status: 'failure' });
  };
  const reload = async (text: string): Promise<void> => {
    const data = await parseYaml(text);
    // Only its words have changed, not what they say.
    if (jsonEqual(data, known)) return;
    await use(data);
    known = data;
    log.info({ file }, 'Using a changed configuration');
    server.configurationRead(what, { status: 'success', hash: configurationHash(text) });
  };
  // One after the other: the one that was written last must count last.
  let turn = Promise.resolve();
  const onChange = ([text = '']: string[]): void => {
    turn = turn.then(() => reload(text)).catch(onError);
  };
  await followFiles([file], { onChange, onError }, signal);
  await turn;
}
