// Makes build/web: the demo page, with names that hold a hash of their content.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { build } from "esbuild";

const out = `${process.env.BUILD ?? "build"}/web`;
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const { metafile } = await build({
  entryPoints: ["clients/web/demo/app.ts", "clients/web/demo/app.css"],
  bundle: true,
  minify: true,
  sourcemap: true,
  format: "esm",
  target: "es2022",
  outdir: out,
  entryNames: "[name]-[hash]",
  metafile: true,
});
const names = Object.keys(metafile.outputs).map((path) => basename(path));
const find = (ending) => names.find((name) => name.endsWith(ending));
const page = readFileSync("clients/web/demo/index.html", "utf8")
  .replace("app.js", find(".js"))
  .replace("app.css", find(".css"));
writeFileSync(`${out}/index.html`, page);
