import { type RequestOptions, send } from "./client.ts";

export interface StreamEvent {
  readonly event: string;
  readonly data: unknown;
}

/**
 * Server-sent events of a request that may have a body and always has a token, which `EventSource` can have neither of. Ends when the
 * stream does; throws `ApiError` where it is refused.
 */
export async function* eventStream(method: "GET" | "POST", path: string, options: RequestOptions = {}): AsyncGenerator<StreamEvent> {
  const { body } = await send(method, path, options);
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parseBlock(block);
        if (event !== null) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
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
