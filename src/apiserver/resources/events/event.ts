import { EVENTS_V1 } from '../../../api/resource-types.ts';
import type { Event, EventsEvent, KubeObject } from '../../../api/types.ts';
import { EVENT_COLUMNS, EVENT_TTL_SECONDS, eventFields, eventRow } from '../core/event.ts';
import { validateNewEvent, validateNewEventUpdate } from '../core/event-validation.ts';
import { defineKind } from '../kind.ts';

/** events.k8s.io names the same things differently; an Event is stored as the core group writes it. */
function toStored(object: KubeObject): KubeObject {
  const { regarding, note, deprecatedSource, deprecatedFirstTimestamp, ...rest } =
    object as unknown as EventsEvent;
  const { deprecatedLastTimestamp, deprecatedCount, reportingController, ...same } = rest;
  return compact({
    ...same,
    apiVersion: 'v1',
    involvedObject: regarding ?? {},
    message: note,
    source: deprecatedSource,
    firstTimestamp: deprecatedFirstTimestamp,
    lastTimestamp: deprecatedLastTimestamp,
    count: deprecatedCount,
    reportingComponent: reportingController ?? '',
    reportingInstance: same.reportingInstance ?? '',
  });
}

function fromStored(object: KubeObject): KubeObject {
  const { involvedObject, message, source, firstTimestamp, ...rest } = object as unknown as Event;
  const { lastTimestamp, count, reportingComponent, ...same } = rest;
  return compact({
    ...same,
    apiVersion: 'events.k8s.io/v1',
    regarding: involvedObject,
    note: message,
    deprecatedSource: source,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
    deprecatedCount: count,
    reportingController: reportingComponent,
  });
}

function compact(object: Record<string, unknown>): KubeObject {
  for (const [field, value] of Object.entries(object)) {
    if (value === undefined) delete object[field];
  }
  return object as KubeObject;
}

/** The stored form of an event, which may be what is given already. */
function asCore(event: EventsEvent): Event {
  const object = event as unknown as KubeObject;
  return (object.apiVersion === 'v1' ? object : toStored(object)) as unknown as Event;
}

/** The selectable fields under the names of this version. */
function newFields(fields: Record<string, string>): Record<string, string> {
  const { source: _, reportingComponent = '', ...rest } = fields;
  const regarding = Object.entries(rest).map(([name, value]) => [
    name.replace(/^involvedObject/, 'regarding'),
    value,
  ]);
  return { ...Object.fromEntries(regarding), reportingController: reportingComponent };
}

export const eventsEventKind = defineKind<EventsEvent>({
  type: EVENTS_V1,
  shortNames: ['ev'],
  strategy: {
    allowCreateOnUpdate: true,
    // Whatever version wrote it, a strategy sees the stored form.
    validate: (event) => validateNewEvent(asCore(event)),
    validateUpdate: (event, old) => validateNewEventUpdate(asCore(event), asCore(old)),
  },
  storedAs: { group: '', version: 'v1', toStored, fromStored },
  columns: EVENT_COLUMNS,
  row: (event, now) => eventRow(asCore(event), now),
  fieldsOf: (event) => newFields(eventFields(asCore(event))),
  ttlSeconds: EVENT_TTL_SECONDS,
});
