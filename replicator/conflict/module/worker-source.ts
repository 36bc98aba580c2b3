/** The words between the runner and its worker thread: the value of the shared signal. */
export const SIGNAL = { waiting: 0, answered: 1, gone: 2 } as const;

/** What the worker sends for each question, and once for its start. */
export type Report = { readonly answer: unknown } | { readonly thrown: Thrown };
export interface Thrown {
  /** The error's class or code: never its message, which may hold values of the row. */
  readonly name: string;
  /** `file:line:column` in the module, where the stack tells. */
  readonly place: string | null;
  /** Only of an error while the module was loaded, before it saw a row. */
  readonly message: string | null;
}

/**
 * The worker thread. It is text, so that it runs alike from the sources and from the build, where file names differ.
 *
 * It imports the module, reports, and then answers one question after the other: the report is sent first, the signal that the
 * runner waits on comes after it. Its end is signalled too, whether the module asked for it or not caught its own error.
 */
export const WORKER_SOURCE = `
const { workerData } = require("node:worker_threads");
const { url, port, signal } = workerData;
const say = (word) => { Atomics.store(signal, 0, word); Atomics.notify(signal, 0); };
process.on("exit", () => say(${SIGNAL.gone}));
// standard output belongs to the command's answer
process.stdout.write = process.stderr.write.bind(process.stderr);

const place = (error) => {
  const lines = String(error?.stack ?? "").split("\\n");
  const at = lines.map((line) => line.indexOf(url) < 0 ? null : /^[^)\\s]*/.exec(line.slice(line.indexOf(url) + url.lastIndexOf("/") + 1))[0]);
  return at.find((text) => text) ?? null;
};
const text = (value) => typeof value === "string" ? value.slice(0, 300) : null;
const thrown = (error, loading) => ({ thrown: {
  name: text(error?.code) ?? text(error?.name) ?? typeof error,
  place: place(error),
  message: loading ? text(error?.message)?.split("\\n")[0] ?? null : null,
} });
const report = (message) => { port.postMessage(message); say(${SIGNAL.answered}); };

let decide;
port.on("message", async (conflict) => {
  let message;
  try { message = { answer: await decide(conflict) }; } catch (error) { message = thrown(error, false); }
  try { report(message); } catch (error) { report(thrown(error, false)); }
});
import(url).then(
  (module) => { decide = module.default; report({ answer: typeof decide }); },
  (error) => report(thrown(error, true)),
);
`;
