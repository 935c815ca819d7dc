import { readFileSync, statSync } from 'node:fs';

/** The API level that is served. */
const LEVEL = { major: '1', minor: '36', patch: '2' };

/** `v1.36.2`: the level without our suffix. */
export const GIT_VERSION = `v${LEVEL.major}.${LEVEL.minor}.${LEVEL.patch}`;

/** What /version answers (version.Info). */
export function versionInfo(): object {
  const { major, minor } = LEVEL;
  return {
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    minCompatibilityMajor: major,
    minCompatibilityMinor: String(Number(minor) - 1),
    gitVersion: `${GIT_VERSION}+k8ts`,
    gitCommit: packageVersion(),
    gitTreeState: 'clean',
    buildDate: buildDate(),
    goVersion: `node ${process.version}`,
    compiler: 'v8',
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}

/** When the code that runs was written: the bundle, or this file. */
function buildDate(): string {
  return statSync(import.meta.filename)
    .mtime.toISOString()
    .replace(/\.\d+Z$/, 'Z');
}

function packageVersion(): string {
  const url = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}
