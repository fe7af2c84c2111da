// The core with WebSocket, as an application would bundle it: fails above its budget. What is left of it
// is for the rest of the protocol.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const budget = 14_000;

const { outputFiles } = await build({
  entryPoints: ["clients/web/src/index.ts"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`the SDK with WebSocket: ${size} bytes of ${budget}, minified and compressed`);
if (size > budget) process.exitCode = 1;
