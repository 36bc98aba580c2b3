import { Command, CommanderError, Option } from "commander";
import { armFailpoint } from "../change/failpoints.ts";
import type { Parts } from "../lifecycle/parts.ts";
import { describeError, errorReport } from "../observability/describe-error.ts";
import type { Logger } from "../observability/log.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../observability/log-options.ts";
import { EXIT, type ExitCode, exitCodeOf } from "./exit-codes.ts";
import { createOutput, type Output } from "./output.ts";
import type { CommandContext, GlobalOptions, Verb, VerbInput } from "./verb.ts";

export interface ProgramOptions {
  readonly verbs: readonly Verb[];
  readonly parts: Parts;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly streams: { readonly stdout: (text: string) => void; readonly stderr: (text: string) => void };
}

/** Runs one command line (without node and script) and answers the exit code; never throws. */
export async function runCommandLine(argv: readonly string[], options: ProgramOptions): Promise<ExitCode> {
  const out = createOutput(options.streams);
  let code: ExitCode = EXIT.done;
  const program = createProgram(options, async (verb, globals, input) => {
    code = await runVerb(verb, contextOf(globals, options, out), input);
  });
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return reportError(error, out, argv.includes("--json"));
  }
  return code;
}

type Act = (verb: Verb, globals: GlobalOptions, input: VerbInput) => Promise<void>;

function createProgram(options: ProgramOptions, act: Act): Command {
  const program = new Command("tombolo")
    .description("Keeps Postgres and SQLite databases in step, both ways.")
    .version(options.version, "--version", "print the version")
    .addOption(
      new Option("-c, --config <file>", "topology file (or TOMBOLO_CONFIG)").default(options.env.TOMBOLO_CONFIG ?? "topology.yaml"),
    )
    .option("--json", "the answer as JSON on standard output")
    .addOption(new Option("--log-level <level>", "what is logged").choices([...LOG_LEVELS]).default("info"))
    .addOption(
      new Option("--log-format <format>", "how it is logged").choices([...LOG_FORMATS]).default(process.stderr.isTTY ? "text" : "json"),
    )
    .helpCommand(false)
    .showHelpAfterError("(tombolo --help shows the verbs)")
    .addHelpText(
      "after",
      "\nExit: 0 done, 1 failed, 2 usage or configuration, 3 found something, 4 cannot connect, 5 database of a newer version.",
    )
    .exitOverride()
    .configureOutput({ writeOut: options.streams.stdout, writeErr: options.streams.stderr });
  for (const verb of options.verbs) addVerb(program, verb, act);
  return program;
}

function addVerb(program: Command, verb: Verb, act: Act): void {
  const words = verb.name.split(" ");
  const name = words.at(-1) ?? verb.name;
  const group = words.length === 1 ? program : groupOf(program, words[0] ?? "");
  const command = group.command(name).description(verb.summary);
  if (verb.arguments !== undefined) command.arguments(verb.arguments);
  for (const { flags, description, default: given, repeatable } of verb.options ?? []) {
    if (repeatable) command.option(flags, description, collect, []);
    else command.option(flags, description, given);
  }
  if (verb.examples.length > 0) command.addHelpText("after", `\nExamples:\n${verb.examples.map((example) => `  ${example}`).join("\n")}`);
  command.configureHelp({ showGlobalOptions: true }).action(async () => {
    await act(verb, program.opts<GlobalOptions>(), { args: command.args, options: command.opts() });
  });
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

function groupOf(program: Command, name: string): Command {
  return (
    program.commands.find((command) => command.name() === name) ??
    program.command(name).helpCommand(false).description(`work with single ${name}: see tombolo ${name} --help`)
  );
}

function contextOf(globals: GlobalOptions, options: ProgramOptions, out: Output): CommandContext {
  let logger: Promise<Logger> | undefined;
  return {
    parts: options.parts,
    env: options.env,
    file: globals.config,
    json: globals.json === true,
    out,
    logger: () => {
      logger ??= loadLogger(globals);
      return logger;
    },
    version: options.version,
  };
}

async function loadLogger({ logLevel, logFormat }: GlobalOptions): Promise<Logger> {
  const { createLogger } = await import("../observability/log.ts");
  return createLogger({ level: logLevel, format: logFormat });
}

async function runVerb(verb: Verb, context: CommandContext, input: VerbInput): Promise<ExitCode> {
  try {
    // for trials only: see replicator/change/failpoints.ts
    if (context.env.TOMBOLO_FAILPOINT) armFailpoint(context.env.TOMBOLO_FAILPOINT);
    const run = await verb.load();
    return await run(context, input);
  } catch (error) {
    return reportError(error, context.out, context.json);
  }
}

/** For people on standard error; with `--json` also as the answer. */
function reportError(error: unknown, out: Output, json: boolean): ExitCode {
  const { code, message, hint, stack } = describeError(error);
  out.note(`tombolo: ${message} (${code})`);
  if (hint !== undefined) out.note(`  ${hint}`);
  if (stack !== undefined) out.note(stack);
  if (json) out.json({ error: errorReport(error) });
  return exitCodeOf(error);
}
