/** make run: how it starts, how it ends, and what it says when it cannot. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { after, describe, it } from "node:test";

const isRoot = process.getuid?.() === 0;
const folder = mkdtempSync("/tmp/martlet-harness.XXXXXX".replace(/X+$/, ""));
/** What was started here and may still run, by number. */
const started: ChildProcess[] = [];

after(async () => {
  for (const one of started) if (one.exitCode === null) one.kill("SIGTERM");
  await until("all has ended", () => started.every(hasEnded));
  rmSync(folder, { recursive: true, force: true });
});

const hasEnded = (one: ChildProcess) => one.exitCode !== null || one.signalCode !== null;

async function until<T>(what: string, condition: () => T, deadlineMs = 30_000): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** This make is not a part of the one that runs the tests. */
const environment = (more: Record<string, string>) => {
  const { MAKEFLAGS: _, MFLAGS: __, MAKELEVEL: ___, T: ____, ...rest } = process.env;
  return { ...rest, ...more };
};

/** Four ports in a row that were free a moment ago; below those that the kernel gives away. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    const taken = await Promise.all([0, 1, 2, 3].map((n) => listen(first + n).catch(() => null)));
    for (const one of taken) one?.close();
    if (taken.every(Boolean)) return first;
  }
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

interface Run {
  readonly make: ChildProcess;
  readonly port: number;
  readonly data: string;
  output(): string;
  script(): number;
}

async function start(words: string[], options: { data: string; port?: number }): Promise<Run> {
  const port = options.port ?? (await freePorts());
  const [program = "", ...rest] = words;
  const make = spawn(program, rest, {
    env: environment({ PORT: String(port), DATA: options.data }),
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  started.push(make);
  let text = "";
  make.stdout?.on("data", (bytes) => {
    text += bytes;
  });
  make.stderr?.on("data", (bytes) => {
    text += bytes;
  });
  return {
    make,
    port,
    data: options.data,
    output: () => text,
    script: () => childrenOf(make.pid ?? 0)[0] ?? 0,
  };
}

async function startReady(words: string[], data: string): Promise<Run> {
  const run = await start(words, { data });
  await until(
    "it is ready or has ended",
    () => /is ready/.test(run.output()) || hasEnded(run.make),
  );
  const lines = run.output().trim().split(/\r?\n/);
  assert.equal(lines.at(-1), `Martlet is ready: http://localhost:${run.port}`, run.output());
  return run;
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);

const pidOf = (file: string) => Number(readFileSync(file, "utf8").split("\n")[0]);

const pidFiles = (data: string) => [
  `${data}/martlet.pid`,
  `${data}/mosquitto/pid`,
  `${data}/postgresql/postmaster.pid`,
];

/** A zombie has ended: it has no command line. */
function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).length > 0;
  } catch {
    return false;
  }
}

/** Also those that no file names. */
function postgresqlIn(data: string): string[] {
  const isIn = (pid: string) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === `${data}/postgresql`;
    } catch {
      return false;
    }
  };
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isIn(name));
}

async function assertAllEnds(run: Run, pids: readonly number[]): Promise<void> {
  await until("make has ended", () => hasEnded(run.make));
  await until("the servers have ended", () => !pids.some(isRunning));
  await until("PostgreSQL has ended", () => postgresqlIn(run.data).length === 0);
}

const make = ["make", "run"];
const makeOnTerminal = ["script", "-qefc", "make run", "/dev/null"];

function query(run: Run, sql: string): string {
  const config = readFileSync(`${run.data}/martlet.conf`, "utf8");
  const connection = /^connection = (.*)$/m.exec(config)?.[1] ?? "";
  return execFileSync("psql", ["-qAt", "-d", connection, "-c", sql], { encoding: "utf8" }).trim();
}

describe("make run", () => {
  const data = `${folder}/data`;

  for (const [what, words, stop] of [
    ["TERM to make", make, (run: Run) => run.make.kill("SIGTERM")],
    ["TERM to the script", make, (run: Run) => process.kill(run.script(), "SIGTERM")],
    ["KILL to the script", make, (run: Run) => process.kill(run.script(), "SIGKILL")],
    ["KILL to make", make, (run: Run) => run.make.kill("SIGKILL")],
    ["Ctrl-C on its terminal", makeOnTerminal, (run: Run) => run.make.stdin?.write("\x03")],
    [
      "HUP from a shell that ends",
      make,
      (run: Run) => process.kill(-(run.make.pid ?? 0), "SIGHUP"),
    ],
  ] as const) {
    it(`ends all servers at ${what}, and keeps the data`, async () => {
      const begin = Date.now();
      const isFirst = !existsSync(data);
      const run = await startReady([...words], data);
      if (!isFirst) assert.ok(Date.now() - begin < 10_000, "a later start takes seconds");
      query(run, "create table if not exists kept (what text)");
      query(run, `insert into kept values ('${what}')`);
      if (!isFirst) assert.notEqual(query(run, "select count(*) from kept"), "1");
      const pids = pidFiles(data).map(pidOf);
      assert.ok(pids.every(isRunning));
      stop(run);
      await assertAllEnds(run, pids);
    });
  }

  it("starts again at once after it was killed", async () => {
    const run = await startReady(make, data);
    process.kill(run.script(), "SIGKILL");
    await until("make has ended", () => hasEnded(run.make));
    const again = await startReady(make, data);
    const pids = pidFiles(data).map(pidOf);
    again.make.kill("SIGTERM");
    await assertAllEnds(again, pids);
  });

  it("signals no stranger whose number stands in an old file", async () => {
    const stranger = spawn("sleep", ["1000"], {
      stdio: "ignore",
      // One that PostgreSQL's user may signal, and would take for a postmaster.
      ...(isRoot ? { uid: Number(execFileSync("id", ["-u", "postgres"])) } : {}),
    });
    started.push(stranger);
    for (const file of pidFiles(data)) writeFileSync(file, `${stranger.pid}\n`);
    const run = await startReady(make, data);
    const pids = pidFiles(data).map(pidOf);
    for (const file of pidFiles(data).slice(0, 2)) writeFileSync(file, `${stranger.pid}\n`);
    run.make.kill("SIGTERM");
    await assertAllEnds(run, pids);
    assert.ok(isRunning(stranger.pid ?? 0));
  });

  it("runs in a folder that only its owner can enter, with the data there", async () => {
    const closed = `${folder}/closed`;
    mkdirSync(closed, { mode: 0o700 });
    chmodSync(folder, 0o700);
    const inside = `${closed}/data`;
    for (const word of ["first", "second"]) {
      const run = await startReady(make, inside);
      assert.ok(existsSync(`${inside}/postgresql/PG_VERSION`));
      query(run, `create table ${word} ()`);
      const pids = pidFiles(inside).map(pidOf);
      run.make.kill("SIGTERM");
      await assertAllEnds(run, pids);
    }
    assert.equal(execFileSync("stat", ["-c", "%a", closed], { encoding: "utf8" }), "700\n");
  });
});

describe("make run says in one line that", () => {
  /** The script's last words; make adds that it failed. */
  async function complaint(options: { data: string; port?: number }): Promise<string> {
    const run = await start(["tests/harness/run"], options);
    await until("it has ended", () => hasEnded(run.make));
    assert.notEqual(run.make.exitCode, 0);
    const lines = run.output().trim().split("\n");
    assert.equal(lines.length, 1, run.output());
    return lines[0] ?? "";
  }

  it("a port is taken", async () => {
    const port = await freePorts();
    const server = await listen(port + 2);
    const said = await complaint({ data: `${folder}/other`, port });
    server.close();
    assert.match(said, new RegExp(`port ${port + 2} is taken; choose another with PORT=`));
  });

  it("PORT is no port", async () => {
    assert.match(
      await complaint({ data: `${folder}/other`, port: 65533 }),
      /PORT=65533 is no port/,
    );
  });

  it("its folder can't be written", async () => {
    const said = await complaint({ data: "/proc/martlet" });
    assert.equal(
      said,
      "make run: /proc/martlet can't be written; choose another folder with DATA=",
    );
  });

  it("another one uses its folder", async () => {
    const run = await startReady(make, `${folder}/data`);
    const pids = pidFiles(run.data).map(pidOf);
    assert.match(await complaint({ data: run.data }), /another make run uses/);
    run.make.kill("SIGTERM");
    await assertAllEnds(run, pids);
  });
});

describe("make test", () => {
  it("fails, and says why, where a test was not built", async () => {
    const run = spawn("tests/harness/test", ["unit"], {
      env: environment({ BUILD: `${folder}/nothing`, T: "arena" }),
      stdio: ["ignore", "pipe", "pipe"],
    });
    started.push(run);
    let text = "";
    for (const stream of [run.stdout, run.stderr]) {
      stream.on("data", (bytes) => {
        text += bytes;
      });
    }
    await until("it has ended", () => hasEnded(run));
    assert.equal(run.exitCode, 1);
    assert.match(text, /^BAD +tests\/unit\/base\/arena_test.c was not built$/m);
  });
});

describe("ports that are held", () => {
  const program = `${process.env.BUILD ?? "build"}/harness/ports`;

  /** A reader that holds on to its end until it is told to let go. */
  function hold(count: number) {
    const holder = spawn(program, [String(count)], { stdio: ["ignore", "pipe", "inherit"] });
    started.push(holder);
    const numbers = new Promise<number[]>((resolve) => {
      holder.stdout.once("data", (bytes) => resolve(String(bytes).trim().split(" ").map(Number)));
    });
    return { holder, numbers, release: () => holder.stdout.destroy() };
  }

  it("are given to nobody else, may be listened on, and are free with their reader", async () => {
    const all = Array.from({ length: 20 }, () => hold(30));
    const numbers = (await Promise.all(all.map((one) => one.numbers))).flat();
    assert.equal(new Set(numbers).size, 600);
    const server = await listen(numbers[0] ?? 0);
    server.close();
    for (const one of all) one.release();
    await until("they end with their readers", () => all.every((one) => hasEnded(one.holder)));
  });
});
