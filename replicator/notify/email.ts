import { readFile } from "node:fs/promises";
import { createTransport } from "nodemailer";
import type { EmailTarget } from "../topology/topology.ts";
import { mailText } from "./message.ts";
import { notTls, refused, tooSlow, unreachable } from "./notify-errors.ts";
import type { TargetSender } from "./target.ts";

/** Sends events as mails. The `Message-ID` is made of the event's id, by which mail servers drop doubles. */
export function emailSender(target: EmailTarget): TargetSender {
  const { name, server, tls, ca, login, from, to, timeoutMs } = target;
  return {
    async send(event) {
      const trusted = ca === null ? {} : { ca: await certificates(name, ca) };
      const transport = createTransport({
        ...{ host: server.host, port: server.port, secure: tls === "implicit", requireTLS: tls === "starttls", ignoreTLS: tls === "none" },
        ...(login === null ? {} : { auth: { user: login.user, pass: login.password } }),
        tls: { minVersion: "TLSv1.2", ...trusted },
        ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs, dnsTimeout: timeoutMs },
        ...{ disableFileAccess: true, disableUrlAccess: true, logger: false },
      });
      const { subject, text } = mailText(event, target);
      const sending = transport.sendMail({
        ...{ from, to: [...to], subject, text },
        messageId: `<${event.id}@tombolo.invalid>`,
        date: new Date(event.occurred_at),
        headers: { "Auto-Submitted": "auto-generated", "X-Tombolo-Event": event.event, "X-Tombolo-Topology": event.topology },
      });
      const patience = new AbortController();
      try {
        await Promise.race([sending, late(timeoutMs, patience.signal)]);
      } catch (error) {
        throw mailError(name, error, timeoutMs);
      } finally {
        patience.abort();
        sending.catch(() => {});
        transport.close();
      }
    },
  };
}

async function certificates(name: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw notTls(name, `${file}: ${(error as NodeJS.ErrnoException).code ?? "unreadable"}`);
  }
}

class TooLate extends Error {}

/** Each step of SMTP has a time of its own; this is for all of them together. */
const late = (ms: number, signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const timer = setTimeout(() => reject(new TooLate()), ms);
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  });

function mailError(name: string, error: unknown, timeoutMs: number): unknown {
  if (error instanceof TooLate) return tooSlow(name, timeoutMs / 1000);
  const { code = "", responseCode, command, errno } = error as { code?: string; responseCode?: number; command?: string; errno?: number };
  if (code === "ETIMEDOUT") return tooSlow(name, timeoutMs / 1000);
  if (code === "ETLS") return notTls(name, "it offers none, or breaks off");
  // of what goes wrong on a connection all but a certificate has a number of the operating system
  if (code === "ESOCKET" && errno === undefined) return notTls(name, "its certificate is not trusted");
  if (code === "EAUTH") return refused(name, `the login (SMTP ${responseCode ?? "without a code"})`);
  if (responseCode !== undefined) return refused(name, `SMTP ${responseCode}${command === undefined ? "" : ` to ${command}`}`);
  return unreachable(name, code === "" ? "the connection broke" : code);
}
