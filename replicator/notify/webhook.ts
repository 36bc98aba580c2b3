import { Agent, errors, request } from "undici";
import type { WebhookTarget } from "../topology/topology.ts";
import { webhookBody } from "./message.ts";
import { notTls, refused, tooSlow, unreachable } from "./notify-errors.ts";
import { signedHeaders } from "./signature.ts";
import type { TargetSender } from "./target.ts";

/** What an answer may bring; nobody reads it. */
const MOST_ANSWERED = 64 * 1024;

/** Posts events to a URL. Redirections are not followed: what is signed for one receiver goes to no other. */
export function webhookSender(target: WebhookTarget): TargetSender {
  const { name, url, secret, authorization, timeoutMs } = target;
  return {
    async send(event, now) {
      const body = webhookBody(event, target);
      // one connection for one message: the next may be hours away
      const dispatcher = new Agent({ pipelining: 0, connect: { timeout: timeoutMs }, maxResponseSize: MOST_ANSWERED });
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const answer = await request(url, {
          ...{ method: "POST", body, dispatcher, signal },
          headers: {
            ...{ "content-type": "application/json", "user-agent": "tombolo", ...signedHeaders({ id: event.id, at: now, body, secret }) },
            ...(authorization === null ? {} : { authorization }),
          },
        });
        // what it says besides is not waited for
        answer.body.on("error", () => {});
        answer.body.destroy();
        if (answer.statusCode < 200 || answer.statusCode > 299) throw refused(name, `HTTP ${answer.statusCode}`);
      } catch (error) {
        throw webhookError(name, error, signal.aborted ? timeoutMs : null);
      } finally {
        await dispatcher.destroy();
      }
    },
  };
}

function webhookError(name: string, error: unknown, timeoutMs: number | null): unknown {
  if (timeoutMs !== null) return tooSlow(name, timeoutMs / 1000);
  const code = String((error as { code?: unknown }).code ?? "");
  if (code.startsWith("NOTIFY_")) return error;
  if (error instanceof errors.ConnectTimeoutError) return unreachable(name, "no answer to the connection");
  if (/CERT|SIGNATURE|TLS|SSL|ALTNAME|ISSUER/.test(code)) return notTls(name, code);
  return unreachable(name, code === "" ? "the connection broke" : code);
}
