import { isLoopback } from "./loopback.ts";
import { isJsonTemplate, TEMPLATE_FIELDS, unknownFields } from "./notification-fields.ts";
import { valueAt } from "./plain-value.ts";
import type { Fault, Path, Source } from "./source.ts";
import { didYouMean } from "./suggest.ts";
import { listenAddress } from "./units.ts";

/** Targets of notifications: each with a name of its own, templates of known fields, and passwords that do not travel in the clear. */
export function checkNotifications(source: Source): Fault[] {
  const targets = valueAt(source.value, ["notifications", "targets"]);
  if (!Array.isArray(targets)) return [];
  const paths = targets.map((_, index): Path => ["notifications", "targets", index]);
  return [...sameNames(source, paths), ...paths.flatMap((path) => [...templates(source, path), ...login(source, path)])];
}

const textAt = (source: Source, path: Path): string | undefined => {
  const value = valueAt(source.value, path);
  return typeof value === "string" ? value : undefined;
};

function sameNames(source: Source, paths: readonly Path[]): Fault[] {
  const first = new Map<string, Path>();
  return paths.flatMap((path) => {
    const name = textAt(source, [...path, "name"])?.toLowerCase();
    if (name === undefined) return [];
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, path);
      return [];
    }
    const { line } = source.place([...earlier, "name"]);
    const message = `There are two targets ${source.show([...path, "name"])}; the first is in line ${line}.`;
    const hint = "Give each a name of its own; upper and lower case alone make no difference.";
    return [{ ...source.place([...path, "name"]), code: "DUPLICATE_TARGET", message, hint }];
  });
}

function templates(source: Source, path: Path): Fault[] {
  return ["subject", "body"].flatMap((key): Fault[] => {
    const at = [...path, key];
    const template = textAt(source, at);
    if (template === undefined) return [];
    const place = source.place(at);
    const known = Object.keys(TEMPLATE_FIELDS);
    const unknown = unknownFields(template);
    if (unknown.length > 0) {
      return unknown.map((name) => {
        const isOpen = name === "{{";
        // a template that came from a variable is not shown
        const shown = isOpen || source.isInterpolated(at) ? "" : ` \`${name}\``;
        const message = isOpen
          ? `\`${key}\` has a \`{{\` without its \`}}\`, or the other way round.`
          : `\`${key}\` asks for a field${shown} that there is not.`;
        const guess = isOpen || shown === "" ? "" : didYouMean(name, known);
        return { ...place, code: "TEMPLATE_FIELD", message, hint: `${guess}The fields are ${known.join(", ")}.` };
      });
    }
    if (textAt(source, [...path, "type"]) !== "webhook" || isJsonTemplate(template)) return [];
    const hint = 'Write JSON with every {{field}} inside of a string: \'{"text": "{{summary}}"}\'.';
    return [{ ...place, code: "TEMPLATE_NOT_JSON", message: "The body is not JSON once its fields are put in.", hint }];
  });
}

function login(source: Source, path: Path): Fault[] {
  const has = (key: string): boolean => valueAt(source.value, [...path, key]) !== undefined;
  if (textAt(source, [...path, "type"]) !== "email") return [];
  if (has("user") !== has("password")) {
    const [there, missing] = has("user") ? ["user", "password"] : ["password", "user"];
    const message = `\`${there}\` is given without \`${missing}\`.`;
    return [{ ...source.place([...path, there]), code: "MAIL_LOGIN", message, hint: "Give both, or neither." }];
  }
  const address = listenAddress(textAt(source, [...path, "server"]) ?? "");
  if (!has("password") || textAt(source, [...path, "tls"]) !== "none" || address === null || isLoopback(address.host)) return [];
  const message = "The password would travel in the clear.";
  return [{ ...source.place([...path, "tls"]), code: "MAIL_LOGIN", message, hint: "Use `tls: starttls` or `tls: implicit`." }];
}
