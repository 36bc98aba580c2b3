import { appendFileSync } from "node:fs";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { ask } from "../helpers/hub.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

export type ConsoleRole = "viewer" | "operator" | "admin";

/** A shop whose hub is served, and a token of every role: what the browser tests look at. */
export interface ConsoleWorld extends Shop {
  readonly hubUrl: string;
  readonly tokens: Readonly<Record<ConsoleRole, string>>;
  command(...args: string[]): ReturnType<typeof tombolo>;
  /** Starts `run`, or `serve`, and waits until it answers. */
  serve(verb?: "run" | "serve"): Promise<Started>;
  /** Ends what `serve` started last; SIGKILL as a crash does. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** One request of the API, as JSON. */
  api(method: string, path: string, body?: unknown, role?: ConsoleRole): ReturnType<typeof ask>;
}

export interface ConsoleWorldOptions {
  readonly stores?: readonly string[];
  /** Stores of the topology that have no database. */
  readonly missing?: readonly string[];
  readonly conflict?: string;
  /** Further lines of the topology, such as `reconcile`. */
  readonly more?: string;
  /** `run` unless it is said. */
  readonly verb?: "run" | "serve";
  /** Before anything is captured: rows of both ends, and the like. */
  readonly prepare?: (shop: Shop) => Promise<void>;
}

/** Ends with `close()`. A group `stores` with the parameter `region` is there for edges. */
export async function openConsole(options: ConsoleWorldOptions = {}): Promise<ConsoleWorld> {
  const { stores = ["store-1", "store-2"], missing = [], conflict = "manual", more = "", verb = "run" } = options;
  const shop = await openShop({ stores, missing, conflict });
  await options.prepare?.(shop);
  const port = await freePort();
  const groups = "groups: [{ name: stores, parent: hub, params: [region], channels: [sales] }]\n";
  appendFileSync(shop.file, `${groups}hub: { listen: "127.0.0.1:${port}" }\n${more}\n`);
  const hubUrl = `http://127.0.0.1:${port}`;
  const command = (...args: string[]) => tombolo(["-c", shop.file, ...args], shop.env);
  const present = ["hub", ...stores.filter((name) => !missing.includes(name))];
  const applied = await command("apply", "--yes", ...present.flatMap((name) => ["--node", name]));
  if (applied.code !== 0) throw new Error(applied.stderr);
  const made = await command("tokens", "create", "--role", "admin", "--name", "ann");
  if (made.code !== 0) throw new Error(made.stderr);
  const admin = made.stdout.trim();
  let service: Started | undefined;
  const serve = async (wanted: "run" | "serve" = verb): Promise<Started> => {
    const begun = start(["-c", shop.file, wanted, "--log-format", "json", "--log-level", "warn"], shop.env);
    service = begun;
    await until("the hub answers", async () => {
      if (begun.process.exitCode !== null) throw new Error(begun.stderr());
      return (await fetch(`${hubUrl}/v1/ping`)).ok;
    });
    return begun;
  };
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    const ended = service?.stop(signal);
    service = undefined;
    await ended;
  };
  await serve();
  const token = async (role: ConsoleRole): Promise<string> => {
    const { status, body } = await ask({ url: hubUrl }, "POST", "/v1/tokens", { token: admin, body: { role, name: `the ${role}` } });
    if (status !== 201) throw new Error(JSON.stringify(body));
    return body.secret;
  };
  const tokens = { admin, operator: await token("operator"), viewer: await token("viewer") };
  return {
    ...shop,
    hubUrl,
    tokens,
    command,
    serve,
    stop,
    api: (method, path, body, role = "admin") =>
      ask({ url: hubUrl }, method, path, { token: tokens[role], ...(body !== undefined && { body }) }),
    async close() {
      await stop("SIGKILL");
      await shop.close();
    },
  };
}
