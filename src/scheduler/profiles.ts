import type { Plugin } from './framework.ts';
import type { ExtensionPoints } from './profile.ts';

export interface WeightedPlugin {
  readonly plugin: Plugin;
  readonly weight: number;
}

type Implementing<K extends keyof Plugin> = Plugin & Required<Pick<Plugin, K>>;

function implementing<K extends keyof Plugin>(
  plugins: readonly WeightedPlugin[],
  method: K,
): Implementing<K>[] {
  return plugins
    .map(({ plugin }) => plugin)
    .filter((plugin): plugin is Implementing<K> => plugin[method] !== undefined);
}

/** Every plugin at every extension point that it implements, in the given order. */
export function extensionPoints(plugins: readonly WeightedPlugin[]): ExtensionPoints {
  const [queueSort] = implementing(plugins, 'less');
  if (!queueSort) throw new Error('No queue sort plugin is enabled');
  return {
    preEnqueue: implementing(plugins, 'preEnqueue'),
    queueSort,
    preFilter: implementing(plugins, 'preFilter'),
    filter: implementing(plugins, 'filter'),
    postFilter: implementing(plugins, 'postFilter'),
    preScore: implementing(plugins, 'preScore'),
    score: plugins.flatMap(({ plugin, weight }) =>
      plugin.score && weight > 0 ? [{ plugin: plugin as Implementing<'score'>, weight }] : [],
    ),
    reserve: implementing(plugins, 'reserve') as ExtensionPoints['reserve'],
    permit: implementing(plugins, 'permit'),
    preBind: implementing(plugins, 'preBind'),
    bind: implementing(plugins, 'bind'),
    postBind: implementing(plugins, 'postBind'),
  };
}
