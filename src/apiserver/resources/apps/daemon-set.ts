import { defaultPodTemplate } from '../../../api/pod-defaults.ts';
import { DAEMON_SETS } from '../../../api/resource-types.ts';
import { TEMPLATE_GENERATION, templateGeneration } from '../../../api/template-generation.ts';
import type { DaemonSet } from '../../../api/types.ts';
import { jsonEqual } from '../../../util/json.ts';
import type { Strategy } from '../../resource-kind.ts';
import { age, formatLabels, formatSelector } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, statusSubresource } from '../kind.ts';
import { SELECTOR_COLUMN, TEMPLATE_COLUMNS, templateCells } from '../pod-spec/template-columns.ts';
import { keepAllButStatus, keepStatus, withoutStatus } from '../status.ts';
import { validateDaemonSet, validateDaemonSetUpdate } from './workload-validation.ts';

function defaultDaemonSet({ spec }: DaemonSet): void {
  if (!spec) return;
  spec.revisionHistoryLimit ??= 10;
  spec.updateStrategy ??= {};
  spec.updateStrategy.type ??= 'RollingUpdate';
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
    spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
  }
  defaultPodTemplate(spec.template);
}

function setTemplateGeneration({ metadata }: DaemonSet, generation: number): void {
  metadata.annotations = { ...metadata.annotations, [TEMPLATE_GENERATION]: String(generation) };
}

/** A creator may say where to begin; from then on only the server counts. */
function countTemplates(set: DaemonSet, old: DaemonSet): void {
  const before = templateGeneration(old) ?? 1;
  const same = jsonEqual(set.spec?.template, old.spec?.template);
  setTemplateGeneration(set, same ? before : before + 1);
}

const main: Strategy<DaemonSet> = {
  default: defaultDaemonSet,
  prepareForCreate(set) {
    withoutStatus(set);
    setTemplateGeneration(set, Math.max(1, templateGeneration(set) ?? 1));
  },
  prepareForUpdate(set, old) {
    keepStatus(set, old);
    countTemplates(set, old);
  },
  validate: validateDaemonSet,
  validateUpdate: validateDaemonSetUpdate,
  generationFields: ['spec'],
};

const status: Strategy<DaemonSet> = {
  default: defaultDaemonSet,
  prepareForUpdate(set, old) {
    keepAllButStatus(set, old);
    countTemplates(set, old);
  },
};

export const daemonSetKind = defineKind<DaemonSet>({
  type: DAEMON_SETS,
  shortNames: ['ds'],
  categories: ['all'],
  strategy: main,
  subresources: { status: statusSubresource(status) },
  columns: [
    NAME_COLUMN,
    column('Desired', 'Nodes that should run one.', { type: 'integer' }),
    column('Current', 'Nodes that should and do.', { type: 'integer' }),
    column('Ready', 'Nodes whose Pod is ready.', { type: 'integer' }),
    column('Up-to-date', 'Nodes with the newest template.', { type: 'integer' }),
    column('Available', 'Nodes whose Pod has been ready long enough.', { type: 'integer' }),
    column('Node Selector', 'Labels of the nodes it is for.'),
    AGE_COLUMN,
    ...TEMPLATE_COLUMNS,
    SELECTOR_COLUMN,
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    status?.desiredNumberScheduled ?? 0,
    status?.currentNumberScheduled ?? 0,
    status?.numberReady ?? 0,
    status?.updatedNumberScheduled ?? 0,
    status?.numberAvailable ?? 0,
    formatLabels(spec?.template.spec?.nodeSelector),
    age(metadata.creationTimestamp, now),
    ...templateCells(spec?.template),
    formatSelector(spec?.selector),
  ],
});
