// `node --import` this file: the URL of every module that the process loads is written to the file that RECORD_LOADS names.
import { appendFileSync } from "node:fs";
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

// Node runs hooks in a thread of their own, which loads this file a second time
if (isMainThread) register(import.meta.url);

export function load(url, context, next) {
  appendFileSync(process.env.RECORD_LOADS, `${url}\n`);
  return next(url, context);
}
