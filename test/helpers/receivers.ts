import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

export interface Posted {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** An HTTP server that takes what is posted to it, and answers as it is told. */
export interface HookReceiver {
  readonly url: string;
  /** What came, answered with success or not. */
  readonly posted: Posted[];
  /** The status of the next answers; null for none at all. */
  status: number | null;
  readonly answerHeaders: { [name: string]: string };
  close(): Promise<void>;
}

export async function hookReceiver(port = 0): Promise<HookReceiver> {
  const posted: Posted[] = [];
  const receiver = { posted, status: 204 as number | null, answerHeaders: {} as { [name: string]: string } };
  const server = createServer((request, response) => {
    text(request).then(
      (body) => {
        posted.push({ path: request.url ?? "", headers: request.headers, body });
        if (receiver.status !== null) response.writeHead(receiver.status, receiver.answerHeaders).end();
      },
      () => undefined,
    );
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  });
}

const TLS = new URL("../hub/tls/", import.meta.url).pathname;
/** Of the authority that the mail server's certificate is of. */
export const MAIL_CA = `${TLS}ca.crt`;

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  /** Whether it came over TLS. */
  readonly secure: boolean;
  readonly user: string | undefined;
  readonly source: string;
}

export interface MailReceiver {
  readonly port: number;
  readonly mails: Mail[];
  /** SMTP code that recipients are refused with; null where they are taken. */
  refuses: number | null;
  close(): Promise<void>;
}

/** A mail server with a certificate for localhost. With `login` it takes mails of that user only. */
export async function mailReceiver(
  options: {
    readonly port?: number;
    readonly login?: { readonly user: string; readonly password: string };
    readonly smtp?: SMTPServerOptions;
  } = {},
): Promise<MailReceiver> {
  const mails: Mail[] = [];
  const receiver = { mails, refuses: null as number | null };
  const { login } = options;
  const server = new SMTPServer({
    ...{ key: readFileSync(`${TLS}hub.key`), cert: readFileSync(`${TLS}hub.crt`), logger: false },
    authOptional: login === undefined,
    onAuth: ({ username, password }, _session, done) => {
      if (username === login?.user && password === login?.password) done(null, { user: username ?? "" });
      else done(Object.assign(new Error("who are you?"), { responseCode: 535 }));
    },
    onRcptTo: (_address, _session, done) =>
      receiver.refuses === null ? done() : done(Object.assign(new Error("not here"), { responseCode: receiver.refuses })),
    onData: (stream, session, done) => {
      text(stream).then((source) => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          ...{ from: mailFrom === false ? "" : mailFrom.address, to: rcptTo.map(({ address }) => address) },
          ...{ secure: session.secure, user: session.user, source },
        });
        done();
      }, done);
    },
    ...options.smtp,
  });
  // a client that does not trust the certificate breaks the connection
  server.on("error", () => undefined);
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server.server, "listening");
  return Object.assign(receiver, {
    port: (server.server.address() as AddressInfo).port,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  });
}
