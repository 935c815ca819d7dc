import { type FieldError, forbidden, invalid, notSupported } from '../api/field-errors.ts';
import {
  ConfigError,
  type PluginSet,
  type PluginSwitch,
  type PointName,
  type ProfileConfig,
} from './config.ts';
import { ConfigReader } from './config-reader.ts';
import type { Plugin } from './framework.ts';
import type { Nominator } from './nominator.ts';
import { type ExtensionPoints, Profile } from './profile.ts';
import { PLUGINS, type PluginDeps } from './registry.ts';

/** Which method makes a plugin take part in an extension point. */
const METHODS: Readonly<Record<PointName, keyof Plugin>> = {
  preEnqueue: 'preEnqueue',
  queueSort: 'less',
  preFilter: 'preFilter',
  filter: 'filter',
  postFilter: 'postFilter',
  preScore: 'preScore',
  score: 'score',
  reserve: 'reserve',
  permit: 'permit',
  preBind: 'preBind',
  bind: 'bind',
  postBind: 'postBind',
};

/** Makes the profiles of a configuration. Throws ConfigError with the field of each mistake. */
export function createProfiles(
  configs: readonly ProfileConfig[],
  deps: PluginDeps & { nominator: Nominator },
): Map<string, Profile> {
  const errors: FieldError[] = [];
  const profiles = new Map<string, Profile>();
  for (const config of configs) {
    const profile = createProfile(config, deps, errors);
    if (profile) profiles.set(profile.name, profile);
  }
  checkQueueSort(profiles, errors);
  if (errors.length > 0) throw new ConfigError(errors);
  return profiles;
}

function createProfile(
  config: ProfileConfig,
  deps: PluginDeps & { nominator: Nominator },
  errors: FieldError[],
): Profile | undefined {
  const made = new Map<string, Plugin>();
  for (const [name, factory] of Object.entries(PLUGINS)) {
    const path = `${config.path}.pluginConfig`;
    const args = config.args.get(name) ?? new ConfigReader(undefined, path, []);
    made.set(name, factory.create(deps, args));
    errors.push(...args.errors.filter((error) => !errors.includes(error)));
  }
  for (const [name, args] of config.args) {
    if (!PLUGINS[name]) errors.push(invalid(args.path, name, 'not a known plugin'));
  }
  checkNames(config, errors);
  if (errors.length > 0) return undefined;
  const select = (point: PointName) => selectPlugins(config, point, made);
  const plugins = (point: PointName) => select(point).map(({ name }) => made.get(name));
  const [queueSort, ...more] = plugins('queueSort');
  const field = `${config.path}.plugins`;
  if (!queueSort || more.length > 0) {
    errors.push(invalid(`${field}.queueSort`, more.length + (queueSort ? 1 : 0), 'exactly one'));
    return undefined;
  }
  if (plugins('bind').length === 0)
    errors.push(forbidden(`${field}.bind`, 'at least one bind plugin is needed'));
  return profileOf(config, deps.nominator, { made, select, plugins });
}

function profileOf(
  config: ProfileConfig,
  nominator: Nominator,
  chosen: {
    made: ReadonlyMap<string, Plugin>;
    select: (point: PointName) => PluginSwitch[];
    plugins: (point: PointName) => (Plugin | undefined)[];
  },
): Profile {
  // selectPlugins has kept only plugins that have the method of the point.
  const at = <K extends PointName>(point: K) =>
    chosen.plugins(point) as unknown as ExtensionPoints[Exclude<K, 'score' | 'queueSort'>];
  const points: ExtensionPoints = {
    preEnqueue: at('preEnqueue'),
    queueSort: chosen.plugins('queueSort')[0] as ExtensionPoints['queueSort'],
    preFilter: at('preFilter'),
    filter: at('filter'),
    postFilter: at('postFilter'),
    preScore: at('preScore'),
    score: chosen.select('score').map(({ name, weight }) => ({
      plugin: chosen.made.get(name) as ExtensionPoints['score'][number]['plugin'],
      weight,
    })),
    reserve: at('reserve'),
    permit: at('permit'),
    preBind: at('preBind'),
    bind: at('bind'),
    postBind: at('postBind'),
  };
  const used = new Set(Object.keys(METHODS).flatMap((point) => chosen.plugins(point as PointName)));
  return new Profile(
    { nominator },
    {
      name: config.schedulerName,
      points,
      plugins: [...used].filter((plugin) => plugin !== undefined),
      percentageOfNodesToScore: config.percentageOfNodesToScore,
    },
  );
}

const NOTHING: PluginSet = { enabled: [], disabled: new Set() };

/**
 * The plugins of one extension point, in order: those named for it that are also in multiPoint (theirs is the new
 * place and weight), the rest of multiPoint, then those named for it alone (upstream expandMultiPointPlugins).
 */
function selectPlugins(
  config: ProfileConfig,
  point: PointName,
  made: ReadonlyMap<string, Plugin>,
): PluginSwitch[] {
  const own = config.plugins.get(point) ?? NOTHING;
  const everywhere = multiPoint(config.plugins.get('multiPoint') ?? NOTHING);
  const implementing = ({ name }: PluginSwitch) => made.get(name)?.[METHODS[point]] !== undefined;
  const off = ({ name }: PluginSwitch) => own.disabled.has('*') || own.disabled.has(name);
  const named = new Set(own.enabled.map(({ name }) => name));
  const shared = new Set(everywhere.map(({ name }) => name));
  const chosen = [
    ...own.enabled.filter(({ name }) => shared.has(name)),
    ...everywhere.filter((one) => !named.has(one.name) && !off(one)),
    ...own.enabled.filter(({ name }) => !shared.has(name)),
  ];
  return chosen
    .filter(implementing)
    .map(({ name, weight }) => ({ name, weight: weight || PLUGINS[name]?.weight || 1 }));
}

/** The defaults, less what is disabled, with new weights in place and new plugins at the end. */
function multiPoint({ enabled, disabled }: PluginSet): PluginSwitch[] {
  const named = new Map(enabled.map((one) => [one.name, one]));
  const defaults = Object.entries(PLUGINS)
    .filter(([name]) => !disabled.has('*') && !disabled.has(name))
    .map(([name, { weight }]) => named.get(name) ?? { name, weight });
  const present = new Set(defaults.map(({ name }) => name));
  return [...defaults, ...enabled.filter(({ name }) => !present.has(name))];
}

function checkNames(config: ProfileConfig, errors: FieldError[]): void {
  for (const [point, { enabled, disabled }] of config.plugins) {
    const field = `${config.path}.plugins.${point}`;
    enabled.forEach(({ name }, i) => {
      const known = PLUGINS[name] !== undefined;
      if (!known)
        errors.push(notSupported(`${field}.enabled[${i}].name`, name, Object.keys(PLUGINS)));
    });
    [...disabled].forEach((name, i) => {
      if (name === '*' || PLUGINS[name] !== undefined) return;
      errors.push(notSupported(`${field}.disabled[${i}].name`, name, Object.keys(PLUGINS)));
    });
  }
}

/** One queue serves all profiles, so they must agree on its order. */
function checkQueueSort(profiles: ReadonlyMap<string, Profile>, errors: FieldError[]): void {
  const [first] = profiles.values();
  let i = 0;
  for (const profile of profiles.values()) {
    const { name } = profile.points.queueSort;
    if (name !== first?.points.queueSort.name) {
      const field = `profiles[${i}].plugins.queueSort`;
      errors.push(invalid(field, name, 'queue sort must be the same for all profiles'));
    }
    i++;
  }
}
