import { EVENTS } from '../../../api/resource-types.ts';
import type { Event } from '../../../api/types.ts';
import type { Cell } from '../../resource-kind.ts';
import { age } from '../cells.ts';
import { column, defineKind } from '../kind.ts';
import { validateCoreEvent } from './event-validation.ts';

/** Upstream keeps events for an hour. */
export const EVENT_TTL_SECONDS = 3600;

export const EVENT_COLUMNS = [
  column('Last Seen', 'Time since it last happened.'),
  column('Type', 'Normal or Warning.'),
  column('Reason', 'Short word for why it happened.'),
  column('Object', 'What it happened to.'),
  column('Subobject', 'Which part of the object.', { wide: true }),
  column('Source', 'Who reports it.', { wide: true }),
  column('Message', 'What happened.'),
  column('First Seen', 'Time since it first happened.', { wide: true }),
  column('Count', 'How often it happened.', { wide: true }),
  column('Name', 'Name of the event.', { format: 'name', wide: true }),
];

export function eventRow(event: Event, now: number): Cell[] {
  const { involvedObject: on, series } = event;
  const first = event.firstTimestamp || event.eventTime;
  const last = series?.lastObservedTime || event.lastTimestamp || first;
  const count = series?.count ?? event.count ?? 0;
  return [
    age(last ?? undefined, now),
    event.type ?? '',
    event.reason ?? '',
    on.name ? `${(on.kind ?? '').toLowerCase()}/${on.name}` : (on.kind ?? '').toLowerCase(),
    on.fieldPath ?? '',
    sourceText(event),
    (event.message ?? '').trim(),
    age(first ?? undefined, now),
    count === 0 ? 1 : count,
    event.metadata.name,
  ];
}

function sourceText({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || reportingComponent || '';
  const host = source?.host || reportingInstance || '';
  return [component, host].filter((part) => part !== '').join(', ');
}

/** Also asked for an empty object, to learn the names of the fields. */
export function eventFields(event: Event): Record<string, string> {
  const on: Partial<Event['involvedObject']> = event.involvedObject ?? {};
  return {
    'involvedObject.kind': on.kind ?? '',
    'involvedObject.namespace': on.namespace ?? '',
    'involvedObject.name': on.name ?? '',
    'involvedObject.uid': on.uid ?? '',
    'involvedObject.apiVersion': on.apiVersion ?? '',
    'involvedObject.resourceVersion': on.resourceVersion ?? '',
    'involvedObject.fieldPath': on.fieldPath ?? '',
    reason: event.reason ?? '',
    reportingComponent: event.reportingComponent || (event.source?.component ?? ''),
    source: event.source?.component || (event.reportingComponent ?? ''),
    type: event.type ?? '',
  };
}

export const eventKind = defineKind<Event>({
  type: EVENTS,
  shortNames: ['ev'],
  strategy: {
    allowCreateOnUpdate: true,
    validate: validateCoreEvent,
    validateUpdate: validateCoreEvent,
  },
  columns: EVENT_COLUMNS,
  row: eventRow,
  fieldsOf: eventFields,
  ttlSeconds: EVENT_TTL_SECONDS,
});
