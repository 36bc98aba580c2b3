import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { interpolate } from "../../replicator/topology/interpolate.ts";
import { type Environment, parseTopology } from "../../replicator/topology/load.ts";
import { redact, redactText, secretsOf } from "../../replicator/topology/redact.ts";

const FILE = "/etc/tombolo/topology.yaml";
const ENV = { HOST: "db", EMPTY: "", DOLLARS: "$$ ${HOST}", LINES: "a: 1\nb: [" };
const FILES: { readonly [path: string]: string } = {
  "/run/secrets/pw": "s3cret\n",
  "/run/secrets/two": "a\n\n",
  "/etc/tombolo/near": "near\r\n",
};

function readFile(path: string): string {
  const text = FILES[path];
  if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
  return text;
}

const load = (text: string, env: Environment = {}) => parseTopology(text, { file: FILE, env, readFile });

describe("expressions", () => {
  test.each([
    ["plain", "plain"],
    ["${HOST}", "db"],
    ["a${HOST}b${HOST}", "adbbdb"],
    ["${EMPTY}", ""],
    ["${EMPTY:-x}", "x"],
    ["${NONE:-x}", "x"],
    ["${HOST:-x}", "db"],
    ["${NONE:-}", ""],
    ["${NONE:-${HOST}:${NONE:-1}}", "db:1"],
    ["${NONE:-a$$}b}", "a$b}"],
    ["${HOST:?must be set}", "db"],
    ["$$", "$"],
    ["$$${HOST}", "$db"],
    ["$${HOST}", "${HOST}"],
    ["$$$${HOST}", "$${HOST}"],
    ["pa$word $1 $", "pa$word $1 $"],
    ["${DOLLARS}", "$$ ${HOST}"],
    ["${file:/run/secrets/pw}", "s3cret"],
    ["${file:/run/secrets/two}", "a\n"],
  ])("%s is %j", (template, text) => {
    expect(interpolate(template, { env: ENV, readFile })).toEqual({ text, problems: [] });
  });

  test.each([
    ["${NONE}", "VARIABLE_UNSET"],
    ["${NONE:?set it}", "VARIABLE_REQUIRED"],
    ["${EMPTY:?set it}", "VARIABLE_REQUIRED"],
    ["${HOST", "VARIABLE_SYNTAX"],
    ["${}", "VARIABLE_SYNTAX"],
    ["${1A}", "VARIABLE_SYNTAX"],
    ["${A-B}", "VARIABLE_SYNTAX"],
    ["${ HOST }", "VARIABLE_SYNTAX"],
    ["${HOST:+x}", "VARIABLE_SYNTAX"],
    ["${file:}", "VARIABLE_SYNTAX"],
    ["${file:/run/${HOST}}", "VARIABLE_SYNTAX"],
    ["${file:/nowhere}", "SECRET_FILE_UNREADABLE"],
    ["${toString}", "VARIABLE_UNSET"],
  ])("%s is %s", (template, code) => {
    expect(interpolate(template, { env: ENV, readFile }).problems.map((problem) => problem.code)).toEqual([code]);
  });

  test("what is missing is all said at once, with the message that the file gives", () => {
    const { problems } = interpolate("${A}${B:?ask the DBA}${file:/c}", { env: {}, readFile });
    expect(problems.map(({ message }) => message)).toEqual([
      "uses the variable A, which is not set",
      "needs the variable B: ask the DBA",
      "needs the file /c, which can't be read (ENOENT)",
    ]);
  });
});

/** Every key there is. */
const WHOLE = `
version: 1
name: retail
nodes:
  - { name: hub, type: postgres, url: "postgres://u@db/x", password: pw, capture: slot }
  - { name: store, type: sqlite, path: store.db }
channels:
  - name: sales
    priority: 10
    tables:
      - { name: shop.orders, conflict: { policy: merge, columns: { note: text }, groups: [[a, b]], otherwise: manual } }
      - { name: shop.items, sqlite_name: things, detect: row, exclude: [x], filter: "a = :region", ids: { stride: 3 } }
      - { name: shop.more, conflict: { policy: module, module: ./m.js } }
links:
  - { parent: hub, child: store, params: { region: north }, channels: [{ name: sales, direction: both }] }
groups: [{ name: g, parent: hub, channels: [sales], params: [region] }]
batch: { max_rows: 5, max_bytes: 4MiB, max_wait: 50ms, compression: gzip }
retry: { initial: 1s, factor: 2, max: 3s, jitter: false }
log: { keep: 7d, max_size: 1GiB }
history: { keep: 90d }
reconcile: [{ name: nightly, cron: "0 3 * * *", timezone: UTC, links: [hub/store], repair: parent }]
metrics: { listen: "127.0.0.1:1" }
hub: { listen: "127.0.0.1:2", tls: { cert: a, key: b } }
ddl: add_columns
`;

type Tree = { [key: string]: unknown };
type Leaf = { readonly holder: Tree; readonly key: string };

/** Every scalar of a parsed file, as a place that can be written to. */
function leavesOf(tree: Tree): Leaf[] {
  return Object.entries(tree).flatMap(([key, inner]) =>
    typeof inner === "object" && inner !== null ? leavesOf(inner as Tree) : [{ holder: tree, key }],
  );
}

describe("structure", () => {
  test("the file with every key has no problem", () => {
    expect(load(WHOLE)).toHaveProperty("topology");
  });

  test("whatever a variable holds, in whatever style of scalar, it is that text and nothing else", () => {
    const params = `params: { region: "\${V}", single: '\${V}', mixed: "<\${V}>" }`;
    const text = WHOLE.replace("params: { region: north }", () => params).replace(
      "name: retail",
      () => "name: retail\n# ${V} in a comment",
    );
    const reference = load(text, { V: "reference" });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.constantFrom('"', "'", "\n", ": ", "- x", "# no", "${V}", "$$", "}", "*a", "{a: 1}", "null", "true", "007", "1e3"),
        ),
        (value) => {
          const loaded = load(text, { V: value });
          if (!("topology" in loaded) || !("topology" in reference)) throw new Error("refused");
          const [link] = loaded.topology.links;
          expect(link?.params).toEqual({ region: value, single: value, mixed: `<${value}>` });
          const others = (topology: typeof loaded.topology) => ({
            ...topology,
            links: topology.links.map((other) => ({ ...other, params: {} })),
          });
          expect(others(loaded.topology)).toEqual(others(reference.topology));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("every scalar may come from a variable, and then means the same: numbers, choices and switches included", () => {
    const written = load(WHOLE);
    const file = parse(WHOLE);
    const env: { [name: string]: string } = {};
    for (const [i, { holder, key }] of leavesOf(file).entries()) {
      env[`V${i}`] = String(holder[key]);
      holder[key] = `\${V${i}}`;
    }
    const loaded = load(stringify(file), env);
    if (!("topology" in loaded) || !("topology" in written)) throw new Error(JSON.stringify(loaded));
    expect(loaded.topology).toEqual(written.topology);
  });

  test("a text that looks like a number stays the text that it is", () => {
    const loaded = load(WHOLE.replace("name: retail", "name: ${NAME}"), { NAME: "007" });
    expect(loaded).toMatchObject({ topology: { name: "007" } });
  });

  test("a key is not interpolated, and says so", () => {
    const loaded = load(WHOLE.replace("ddl:", "${KEY}:"), { KEY: "ddl" });
    expect(loaded).toMatchObject({ problems: [{ code: "VARIABLE_IN_KEY", line: 24, column: 1 }] });
  });
});

describe("secrets", () => {
  const PREFIX = "zqSECRETqz";
  const secret = fc.tuple(
    fc.constantFrom("", "postgres://u:", " ", "a@b/", "../"),
    fc.stringMatching(/^[0-9a-f]{8}$/),
    fc.constantFrom("", "@h/d", "\n: x", "%", "/../x", "\0"),
  );

  test("no problem shows what a variable or a file holds, whichever scalars it is put into", () => {
    const count = leavesOf(parse(WHOLE)).length;
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(count - 1), { minLength: 1, maxLength: 12 }),
        fc.array(secret, { minLength: 12, maxLength: 12 }),
        fc.array(fc.nat(count - 1), { maxLength: 3 }),
        (chosen, secrets, spoilt) => {
          const file = parse(WHOLE);
          const leaves = leavesOf(file);
          const env: { [name: string]: string } = {};
          for (const [i, index] of chosen.entries()) {
            const leaf = leaves[index]!;
            const [before, middle, after] = secrets[i]!;
            env[`V${i}`] = before + PREFIX + middle + after;
            leaf.holder[leaf.key] = i % 2 === 0 ? `\${V${i}}` : `x\${file:/secret/V${i}}`;
          }
          // a mistake of another kind beside it, whose message must not show it either
          for (const index of spoilt) if (!chosen.includes(index)) leaves[index]!.holder[leaves[index]!.key] = "store2";
          const loaded = parseTopology(stringify(file), { file: FILE, env, readFile: (path) => env[path.replace("/secret/", "")] ?? "" });
          if ("problems" in loaded) expect(JSON.stringify(loaded.problems)).not.toContain(PREFIX);
        },
      ),
      { numRuns: 250 },
    );
  });

  test.each([
    ["a URL that is none", "name: hub, type: postgres, url: 'postgres://u:hunter2@h:x/d'"],
    ["a URL where a name belongs", "name: 'postgres://u:hunter2@h/d', type: postgres, url: 'postgres://h/d'"],
    ["a URL where a choice belongs", "name: hub, type: postgres, url: 'postgres://h/d', capture: 'postgres://u:hunter2@h/d'"],
    ["a URL where a path belongs", "name: hub, type: sqlite, path: 'postgres://u:hunter2@h/d'"],
    ["an empty password", "name: hub, type: postgres, url: 'postgres://u:hunter2@h/d', password: ''"],
    ["a URL with a slash too few", "name: hub, type: postgres, url: 'postgres:/u:hunter2@h/d'"],
    ["a password with a NUL", 'name: hub, type: postgres, url: "postgres://h/d", password: "hunter2\\0"'],
    ["an unknown key", "name: hub, type: sqlite, path: 'x.db', passwrd: hunter2"],
    ["a syntax error", 'name: hub, password: "hunter2'],
  ])("a password in the file itself is not shown either: %s", (_what, node) => {
    const loaded = load(`version: 1\nname: n\nnodes: [{ ${node} }]\nchannels: [{ name: c, tables: [t] }]\n`);
    if (!("problems" in loaded)) throw new Error("accepted");
    expect(JSON.stringify(loaded.problems)).not.toContain("hunter2");
  });

  test("nor is a password that YAML takes for a number", () => {
    const loaded = load(WHOLE.replace("password: pw", "password: 8675309"));
    expect(loaded).toMatchObject({ problems: [{ code: "WRONG_TYPE", hint: "If it is meant as text, put it in quotes." }] });
    expect(JSON.stringify(loaded)).not.toContain("8675309");
  });

  test("a name that came from a variable is not offered as what was meant", () => {
    const loaded = load(WHOLE.replace("name: hub,", "name: '${HUB}',").replace("parent: hub, child", "parent: hubb, child"), {
      HUB: "hubx",
    });
    expect(JSON.stringify(loaded)).not.toContain("hubx");
  });
});

describe("printing", () => {
  test.each([
    ["postgres://u:pw@h:5432/d", "postgres://u:***@h:5432/d"],
    ["postgres://u:p@w/x?y@h/d", "postgres://u:***@h/d"],
    ["postgres://u@h/d?password=pw&sslmode=require", "postgres://u@h/d?password=***&sslmode=require"],
    ["host=h password=pw user=u", "host=h password=*** user=u"],
    ["host=h password='p w' user=u", "host=h password=*** user=u"],
    ["postgres://u@h/d", "postgres://u@h/d"],
    ["embedded:/data/hub", "embedded:/data/hub"],
  ])("%s is printed as %s", (url, printed) => {
    expect(redact(url)).toBe(printed);
  });

  test("the password of any URL is hidden, in the URL and in any text around it", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{8,20}$/), (noise) => {
        const password = `zq${noise}`;
        const url = `postgres://user:${encodeURIComponent(password)}@host/db`;
        expect(redact(url)).toBe("postgres://user:***@host/db");
        expect(redact(`postgres://user:${password}@host/db`)).not.toContain(password);
        const loaded = load(
          `version: 1\nname: n\nnodes: [{ name: a, type: postgres, url: "${url}" }, { name: b, type: sqlite, path: b.db }]\nchannels: [{ name: c, tables: [t] }]\nlinks: [{ parent: a, child: b, channels: [c] }]\n`,
        );
        if (!("topology" in loaded)) throw new Error("refused");
        const line = `cannot connect: ${url}, tried ${password}`;
        const printed = redactText(line, secretsOf(loaded.topology));
        expect(printed).not.toContain(password);
        expect(printed).not.toContain(encodeURIComponent(password));
      }),
    );
  });
});
