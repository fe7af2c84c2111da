// What an application would bundle, minified and compressed: fails above a budget. What is left of the core's is
// for the other transports.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const entries = [
  { name: "the SDK with WebSocket", file: "index.ts", budget: 15_000 },
  { name: "the views", file: "view.ts", budget: 5_500 },
];

for (const { name, file, budget } of entries) {
  const { outputFiles } = await build({
    entryPoints: [`clients/web/src/${file}`],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${name}: ${size} bytes of ${budget}, minified and compressed`);
  if (size > budget) process.exitCode = 1;
}
