import { isAbsolute, join, resolve } from "node:path";

const EMBEDDED = "embedded:";

/** A path of the file as an absolute one; relative ones start at the file's folder. */
export const absolute = (folder: string, path: string): string => (isAbsolute(path) ? resolve(path) : join(folder, path));

/** Stands for the host where a URL has a user and no host (a socket), which `URL` refuses and Postgres' clients take. */
const SOCKET = "socket.invalid";

/** A Postgres URL in its parts; null when it is none. */
export function readPostgresUrl(text: string): URL | null {
  if (!/^postgres(ql)?:\/\/[^\s\0]*$/.test(text)) return null;
  const whole = text.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?#]|$)/, `$1${SOCKET}`);
  return URL.canParse(whole) ? new URL(whole) : null;
}

/** The URL to connect with: `embedded:` with an absolute folder, or the URL with its password in it, percent-encoded. */
export function connectionUrl(folder: string, url: string, password: string | undefined): string {
  if (url.startsWith(EMBEDDED)) return `${EMBEDDED}${absolute(folder, url.slice(EMBEDDED.length))}`;
  const parts = readPostgresUrl(url);
  if (password === undefined || parts === null) return url;
  const encoded = encodeURIComponent(password);
  // a password needs a host behind its "@"; a socket's goes into the query
  if (parts.host === "" || parts.host === SOCKET) return `${url}${url.includes("?") ? "&" : "?"}password=${encoded}`;
  parts.password = encoded;
  return parts.href;
}

/** True when the URL says a password, in either of its places. */
export function hasPassword(url: string): boolean {
  const parts = readPostgresUrl(url);
  return parts !== null && (parts.password !== "" || parts.searchParams.has("password"));
}

/** The same text for two URLs of one database, whoever connects and however; null when it can't be told. */
export function databaseIdentity(folder: string, url: string): string | null {
  if (url.startsWith(EMBEDDED)) return connectionUrl(folder, url, undefined);
  const parts = readPostgresUrl(url);
  if (parts === null) return null;
  const { hostname, port, pathname, searchParams, username } = parts;
  const host = (searchParams.get("host") ?? hostname).toLowerCase();
  const local = ["", SOCKET, "localhost", "127.0.0.1", "[::1]", "::1"].includes(host);
  const database = pathname.length > 1 ? pathname.slice(1) : username;
  return JSON.stringify([local ? "localhost" : host, searchParams.get("port") ?? (port === "" ? "5432" : port), database]);
}
