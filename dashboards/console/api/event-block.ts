export interface StreamEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Null for a comment, which only keeps the line open. */
export function parseBlock(block: string): StreamEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return data.length === 0 ? null : { event, data: JSON.parse(data.join("\n")) };
}
