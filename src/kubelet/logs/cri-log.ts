/** One line of a container's log file: `TIME STREAM TAGS CONTENT` (CRI log format). */
export interface LogLine {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** The runtime broke a long line here; the rest follows. */
  readonly partial: boolean;
  readonly content: string;
}

/** Undefined when the text is no such line: cut off in the middle, or written by somebody else. */
export function parseLogLine(text: string): LogLine | undefined {
  const afterTime = text.indexOf(' ');
  const afterStream = text.indexOf(' ', afterTime + 1);
  const afterTags = text.indexOf(' ', afterStream + 1);
  if (afterTime < 0 || afterStream < 0 || afterTags < 0) return undefined;
  const stream = text.slice(afterTime + 1, afterStream);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tags = text.slice(afterStream + 1, afterTags).split(':');
  return {
    time: text.slice(0, afterTime),
    stream,
    partial: tags[0] === 'P',
    content: text.slice(afterTags + 1),
  };
}
