import { describe, expect, it } from 'vitest';
import type { LabelSelector, Pod } from '../../../api/types.ts';
import { podKind } from '../core/pod.ts';

const context = { user: { name: 'u', groups: [] }, dryRun: false, now: 0, warn: () => {} };
const labels = { app: 'web', hash: 'x1' };

/** The Pod as it is stored, and what is wrong with it. */
function create(spec: object) {
  const containers = [{ name: 'c', image: 'i' }];
  const pod = {
    metadata: { name: 'p', namespace: 'n', labels },
    spec: { containers, ...spec },
  } as unknown as Pod;
  podKind.strategy.default?.(pod as never);
  podKind.strategy.prepareForCreate?.(pod as never, context);
  const errors = podKind.strategy.validate?.(pod as never, context) ?? [];
  return { pod, errors: errors.map(({ field, message }) => `${field}: ${message}`) };
}

const term = (rule: object, labelSelector: LabelSelector) => ({
  topologyKey: 'zone',
  labelSelector,
  ...rule,
});
const required = (rule: object) => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [rule] } },
});
const spread = (rule: object) => ({
  topologySpreadConstraints: [{ maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', ...rule }],
});
const APP = { matchLabels: { app: 'web' } };
const AT = 'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]';

describe('matchLabelKeys and mismatchLabelKeys', () => {
  const rule = { matchLabelKeys: ['hash', 'absent'], mismatchLabelKeys: ['app'] };
  const merged = [
    { key: 'hash', operator: 'In', values: ['x1'] },
    { key: 'app', operator: 'NotIn', values: ['web'] },
  ];

  it.each(['podAffinity', 'podAntiAffinity'] as const)('are merged into %s', (part) => {
    const one = () => term(rule, { matchLabels: {} });
    const wish = { weight: 1, podAffinityTerm: one() };
    const { pod, errors } = create({
      affinity: {
        [part]: {
          requiredDuringSchedulingIgnoredDuringExecution: [one()],
          preferredDuringSchedulingIgnoredDuringExecution: [wish],
        },
      },
    });
    expect(errors).toEqual([]);
    const made = pod.spec?.affinity?.[part];
    const terms = [
      made?.requiredDuringSchedulingIgnoredDuringExecution?.[0],
      made?.preferredDuringSchedulingIgnoredDuringExecution?.[0]?.podAffinityTerm,
    ];
    for (const found of terms) expect(found?.labelSelector?.matchExpressions).toEqual(merged);
  });

  it('are merged into topology spread constraints', () => {
    const { pod, errors } = create(spread(term({ matchLabelKeys: ['hash'] }, APP)));
    expect(errors).toEqual([]);
    const [constraint] = pod.spec?.topologySpreadConstraints ?? [];
    expect(constraint?.labelSelector).toEqual({ ...APP, matchExpressions: [merged[0]] });
  });

  it.each<[string, object, string]>([
    [
      'without a selector',
      required({ topologyKey: 'zone', mismatchLabelKeys: ['app'] }),
      `${AT}.mismatchLabelKeys: Forbidden: must not be specified when labelSelector is not set`,
    ],
    [
      'beside a selector for the same label',
      required(term({ matchLabelKeys: ['app'] }, APP)),
      `${AT}[0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector`,
    ],
    [
      'that contradict each other',
      required(term({ matchLabelKeys: ['hash'], mismatchLabelKeys: ['hash'] }, APP)),
      `${AT}.matchLabelKeys[0]: Invalid value: "hash": exists in both matchLabelKeys and mismatchLabelKeys`,
    ],
    [
      'beside a selector for the same label, in a constraint',
      spread(term({ matchLabelKeys: ['app'] }, APP)),
      'spec.topologySpreadConstraints[0][0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector',
    ],
    [
      'without a selector, in a constraint',
      spread({ topologyKey: 'zone', matchLabelKeys: ['app'] }),
      'spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set',
    ],
  ])('are refused %s', (_name, spec, error) => {
    expect(create(spec).errors).toContain(error);
  });

  it('are refused when they are no names of labels', () => {
    const [error] = create(required(term({ matchLabelKeys: ['/simple'] }, APP))).errors;
    expect(error).toBe(
      `${AT}.matchLabelKeys[0]: Invalid value: "/simple": prefix part must be non-empty`,
    );
  });
});
