/**
 * `${…}` in one scalar of a topology file.
 *
 * | written | is |
 * |---|---|
 * | `${VAR}` | the variable; unset is a problem, empty is not |
 * | `${VAR:-default}` | the variable, or the default when it is unset or empty; the default may hold `${…}` |
 * | `${VAR:?message}` | the variable; unset or empty is a problem with this message |
 * | `${file:/run/secrets/x}` | what the file holds, less one newline at its end |
 * | `$$` | `$` |
 *
 * A `$` before anything else is a `$`. What comes out of a variable or a file is text and is not looked at again.
 */
export interface Surroundings {
  readonly env: { readonly [name: string]: string | undefined };
  /** The text of a secret file, by the path as it is written; throws when it can't be read. */
  readonly readFile: (path: string) => string;
}

/** What is wrong with an expression. */
export interface ExpressionProblem {
  readonly code: "VARIABLE_SYNTAX" | "VARIABLE_UNSET" | "VARIABLE_REQUIRED" | "SECRET_FILE_UNREADABLE";
  readonly message: string;
  readonly hint: string;
}

const EXPRESSION = /^([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([\s\S]*))?$/;
const SYNTAX_HINT = "Write ${VAR}, ${VAR:-default}, ${VAR:?message} or ${file:/path}; a dollar sign before a brace is $${.";

/** True when `interpolate` would find an expression, so that the result's type is the key's and not YAML's. */
export const hasExpression = (template: string): boolean => template.replaceAll("$$", "").includes("${");

/** The text with its expressions replaced, and every problem; with a problem the text is not the whole. */
export function interpolate(template: string, surroundings: Surroundings): { text: string; problems: ExpressionProblem[] } {
  const problems: ExpressionProblem[] = [];
  let text = "";
  let at = 0;
  while (at < template.length) {
    if (template.startsWith("$$", at)) {
      text += "$";
      at += 2;
    } else if (template.startsWith("${", at)) {
      const end = closingBrace(template, at + 2);
      if (end === -1) {
        problems.push({ code: "VARIABLE_SYNTAX", message: "has a `${` without its `}`", hint: SYNTAX_HINT });
        break;
      }
      text += evaluate(template.slice(at + 2, end), surroundings, problems);
      at = end + 1;
    } else {
      text += template[at];
      at += 1;
    }
  }
  return { text, problems };
}

/** What one expression, without its braces, stands for; "" after a problem. */
function evaluate(expression: string, surroundings: Surroundings, problems: ExpressionProblem[]): string {
  if (expression.startsWith("file:")) {
    const content = secretFile(expression.slice("file:".length), surroundings);
    if (typeof content === "string") return content;
    problems.push(content);
    return "";
  }
  const match = EXPRESSION.exec(expression);
  if (match?.[1] === undefined) {
    problems.push({ code: "VARIABLE_SYNTAX", message: "has a `${…}` that is none of the known forms", hint: SYNTAX_HINT });
    return "";
  }
  const [, name, operator, rest = ""] = match;
  const value = Object.hasOwn(surroundings.env, name) ? surroundings.env[name] : undefined;
  if (value !== undefined && (operator === undefined || value !== "")) return value;
  if (operator === "-") {
    const inner = interpolate(rest, surroundings);
    problems.push(...inner.problems);
    return inner.text;
  }
  if (operator === "?") {
    const message = rest === "" ? "" : `: ${rest}`;
    problems.push({ code: "VARIABLE_REQUIRED", message: `needs the variable ${name}${message}`, hint: `Set ${name} in the environment.` });
  } else {
    problems.push({
      code: "VARIABLE_UNSET",
      message: `uses the variable ${name}, which is not set`,
      hint: `Set ${name} in the environment, or give a default: \${${name}:-…}.`,
    });
  }
  return "";
}

function secretFile(path: string, surroundings: Surroundings): string | ExpressionProblem {
  if (path === "" || path.includes("${")) {
    return {
      code: "VARIABLE_SYNTAX",
      message: "has a `${file:…}` without a plain path",
      hint: "Write the path out: ${file:/run/secrets/x}.",
    };
  }
  try {
    return surroundings.readFile(path).replace(/\r?\n$/, "");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "unreadable";
    return {
      code: "SECRET_FILE_UNREADABLE",
      message: `needs the file ${path}, which can't be read (${reason})`,
      hint: "Create the file, or let this user read it; a relative path starts at the topology's folder.",
    };
  }
}

/** The `}` that belongs to the `${` before `from`; -1 when there is none. Only `${` opens a brace, `$$` is a dollar sign. */
function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith("$$", at)) at++;
    else if (text.startsWith("${", at)) {
      depth++;
      at++;
    } else if (text[at] === "}" && --depth === 0) return at;
  }
  return -1;
}
