import { type RequestOptions, send } from "./client.ts";
import { parseBlock, type StreamEvent } from "./event-block.ts";

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
