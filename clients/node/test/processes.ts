/** Sidecars, and other programs, as processes of their own. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { REPOSITORY } from "./table";

export const PYTHON = path.resolve(
  process.env.SIDECAR_PYTHON ?? path.join(REPOSITORY, ".venv/bin/python"),
);

/** A program that printed its first line. */
export interface Running {
  readonly line: string;
  /** The exit status, once there is one. */
  readonly ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a program, and waits for the first line that it prints. */
export async function start(
  command: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<Running> {
  const child = spawn(command, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const ended = once(child, "exit").then(([code]) => code as number | null);
  const lines = createInterface(child.stdout);
  const line = await Promise.race([
    once(lines, "line").then(([text]) => String(text)),
    ended.then(() => undefined),
  ]);
  if (line === undefined) {
    throw new Error(`${command} ended: ${errors}`);
  }
  return { line, ended, kill: (signal) => kill(child, signal) };
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}

/** The sidecar that answers as the table says; its line is its address. */
export function scripted(address = "127.0.0.1:0"): Promise<Running> {
  return start(PYTHON, ["tests/clients/scripted.py", address], { cwd: REPOSITORY });
}

/** A real sidecar at `address`, in a folder that `stop` removes. */
export async function real(): Promise<{ address: string; stop(): Promise<void> }> {
  const folder = temporary();
  const config = path.join(folder, "sidecar.yaml");
  copyFileSync(path.join(REPOSITORY, "tests/clients/sidecar.yaml"), config);
  const running = await start(PYTHON, ["-m", "sidecar", "serve", "--config", config], {
    cwd: folder,
  });
  return {
    address: `unix:${path.join(folder, "sidecar.sock")}`,
    stop: async () => {
      await running.kill("SIGTERM");
      rmSync(folder, { recursive: true });
    },
  };
}

/** A new folder, with a path that is short enough for a socket. */
export function temporary(): string {
  return mkdtempSync(path.join(tmpdir(), "jwt-sidecar-"));
}
