// Makes clients/web/src/gen from proto/martlet/v1: pbf writes the functions that read and write each message,
// this file their types. Each function stands alone, so a bundle holds only those for its direction.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PbfReader, PbfWriter } from "pbf";
import { compileRaw } from "pbf/compile";
import schema from "protocol-buffers-schema";

const source = "proto/martlet/v1";
const out = "clients/web/src/gen";

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

const files = readdirSync(source)
  .filter((name) => name.endsWith(".proto"))
  .map((name) => schema.parse(readFileSync(`${source}/${name}`)));
const messages = files.flatMap((file) => file.messages);
const enums = files.flatMap((file) => file.enums);

for (const message of messages) {
  if (message.messages.length || message.enums.length)
    throw new Error(`${message.name}: messages within messages have no types here yet`);
  for (const field of message.fields) {
    if (field.type === "map") throw new Error(`${message.name}: maps have no types here yet`);
    field.name = camel(field.name);
    field.oneof &&= camel(field.oneof);
  }
}

const scalars = { string: "string", bool: "boolean", bytes: "Uint8Array" };
const isMessage = (type) => messages.some(({ name }) => name === type);

/** As pbf reads it: what was not sent is the type's zero, and undefined where there is none. */
function fieldType({ name, type, repeated, oneof }) {
  const one = isMessage(type) ? type : (scalars[type] ?? "number");
  if (repeated) return `${name}: ${one}[]`;
  if (oneof) return `${name}?: ${one} | undefined`;
  return isMessage(type) || type === "bytes" ? `${name}: ${one} | undefined` : `${name}: ${one}`;
}

function messageTypes({ name, fields }) {
  const oneofs = [...new Set(fields.map((field) => field.oneof).filter(Boolean))].map((oneof) => {
    const names = fields.filter((field) => field.oneof === oneof).map((f) => `"${f.name}"`);
    return `${oneof}?: ${names.join(" | ")} | undefined`;
  });
  const members = [...fields.map(fieldType), ...oneofs].map((member) => `  ${member};\n`);
  return `export interface ${name} {\n${members.join("")}}
export function read${name}(pbf: PbfReader, end?: number): ${name};
export function write${name}(message: ${name}, pbf: PbfWriter): void;\n`;
}

function enumTypes({ name, values }) {
  const members = Object.entries(values).map(
    ([key, { value }]) => `  readonly ${key}: ${value};\n`,
  );
  return `export const ${name}: {\n${members.join("")}};\n`;
}

/** What codec.ts calls of them. */
const callsOfOurs = ".finish()";

/**
 * pbf's reader and writer without what nothing calls, a quarter of their size: bundlers leave out functions,
 * but not methods.
 */
function runtimeFor(code) {
  let source = readFileSync(fileURLToPath(import.meta.resolve("pbf")), "utf8");
  const leaveOut = (text, use) => {
    const rest = source.replace(text, "");
    if (!use.test(rest + code + callsOfOurs)) source = rest;
  };
  for (let before = ""; before !== source; ) {
    before = source;
    for (const { prototype } of [PbfReader, PbfWriter])
      for (const name of Object.getOwnPropertyNames(prototype))
        if (name !== "constructor")
          leaveOut(prototype[name].toString(), new RegExp(`\\.${name}\\(`));
    for (const [text, name] of source.matchAll(/^function (\w+)\([\s\S]*?^}$/gm))
      leaveOut(text, new RegExp(`\\b${name}\\b`));
  }
  return source;
}

const types = `// Made from proto/ by clients/web/generate.mjs.
export class PbfReader {
  constructor(bytes: Uint8Array);
  readonly pos: number;
}
export class PbfWriter {
  finish(): Uint8Array;
}
`;
// What is not set is undefined without being said to be.
const code = compileRaw({ syntax: 3, package: "martlet.v1", messages, enums }).replace(
  /\b\w+: undefined(, )?/g,
  "",
);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
writeFileSync(
  `${out}/martlet.d.ts`,
  [types, ...enums.map(enumTypes), ...messages.map(messageTypes)].join("\n"),
);
writeFileSync(`${out}/martlet.js`, runtimeFor(code) + code);
