import type { EventRecorder, EventSubject } from './client.ts';

/** Keeps what was told, one line each: `Normal ScalingReplicaSet default/web: Scaled up …`. */
export class FakeEvents implements EventRecorder {
  readonly lines: string[] = [];

  event(about: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { namespace = '', name } = about.metadata;
    this.lines.push(
      `${type} ${reason} ${namespace === '' ? name : `${namespace}/${name}`}: ${message}`,
    );
  }
}
