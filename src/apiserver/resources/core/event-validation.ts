import { type FieldError, invalid, required } from '../../../api/field-errors.ts';
import { qualifiedName } from '../../../api/names.ts';
import type { Event } from '../../../api/types.ts';
import { jsonEqual } from '../../../util/json.ts';
import { checked, immutable, mustBeThere } from '../validation.ts';

const MAX_WORD = 128;
const MAX_NOTE = 1024;

/** An event lives where its object lives. Those that say when they happened must also say who tells of what. */
function validateAnyEvent(event: Event, controllerField: string): FieldError[] {
  const { metadata, involvedObject: on } = event;
  const field = 'involvedObject.namespace';
  const namespace = metadata.namespace ?? '';
  const apart = invalid(field, on.namespace ?? '', 'does not match event.namespace');
  if (!event.eventTime) {
    const fits = on.namespace
      ? on.namespace === namespace
      : namespace === '' || namespace === 'default';
    return fits ? [] : [apart];
  }
  const clusterWide = !on.namespace && namespace !== 'default' && namespace !== 'kube-system';
  const { reportingComponent = '', reportingInstance, action, reason, message } = event;
  return [
    ...(clusterWide ? [apart] : []),
    ...mustBeThere(reportingComponent, controllerField),
    ...checked(reportingComponent, qualifiedName, controllerField),
    ...mustBeThere(reportingInstance, 'reportingInstance'),
    ...atMost(reportingInstance, MAX_WORD, 'reportingInstance'),
    ...mustBeThere(action, 'action'),
    ...atMost(action, MAX_WORD, 'action'),
    ...mustBeThere(reason, 'reason'),
    ...atMost(reason, MAX_WORD, 'reason'),
    ...atMost(message, MAX_NOTE, 'message'),
  ];
}

function atMost(text: string | undefined, max: number, field: string): FieldError[] {
  if (Buffer.byteLength(text ?? '') <= max) return [];
  return [invalid(field, '', `can have at most ${max} characters`)];
}

export function validateCoreEvent(event: Event): FieldError[] {
  return validateAnyEvent(event, 'reportingComponent');
}

/** events.k8s.io is stricter: nothing of the old way to tell an event may be there. */
export function validateNewEvent(event: Event): FieldError[] {
  const { type = '' } = event;
  const typed = type === 'Normal' || type === 'Warning';
  return [
    ...validateAnyEvent(event, 'reportingController'),
    ...validateSeries(event),
    ...(event.eventTime ? [] : [required('eventTime')]),
    ...(typed ? [] : [invalid('type', '', `has invalid value: ${type}`)]),
    ...(event.firstTimestamp ? [unset('firstTimestamp')] : []),
    ...(event.lastTimestamp ? [unset('lastTimestamp')] : []),
    ...(event.count ? [unset('count')] : []),
    ...(event.source?.component || event.source?.host ? [unset('source')] : []),
  ];
}

function unset(field: string): FieldError {
  return invalid(field, '', 'needs to be unset');
}

function validateSeries({ series }: Event): FieldError[] {
  if (!series) return [];
  return [
    ...((series.count ?? 0) < 2 ? [invalid('series.count', '', 'should be at least 2')] : []),
    ...(series.lastObservedTime ? [] : [required('series.lastObservedTime')]),
  ];
}

const FIXED = [
  'involvedObject',
  'reason',
  'message',
  'source',
  'firstTimestamp',
  'lastTimestamp',
  'count',
  'type',
  'eventTime',
  'action',
  'related',
] as const;

/** Only the series of an event goes on. */
export function validateNewEventUpdate(event: Event, old: Event): FieldError[] {
  return [
    ...validateAnyEvent(event, 'reportingController'),
    ...(jsonEqual(event.series, old.series) ? [] : validateSeries(event)),
    ...FIXED.flatMap((field) => immutable(event[field], old[field], field)),
    ...immutable(event.reportingComponent, old.reportingComponent, 'reportingController'),
    ...immutable(event.reportingInstance, old.reportingInstance, 'reportingInstance'),
  ];
}
