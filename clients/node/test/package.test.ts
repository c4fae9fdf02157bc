import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, suite, test } from "node:test";
import { temporary } from "./processes";

const FOLDER = path.resolve(__dirname, "../..");

/** Uses the package as its users do; what it prints is what it must. */
const PROGRAM = `
const client: Client = new Client("127.0.0.1:1", { deadlineMs: 500 });
client.validate("a").then(
  (token) => console.log(token.subject),
  (error: unknown) => console.log(error instanceof SidecarUnavailable),
);
`;

suite("the packed package", () => {
  let folder: string;

  before(() => {
    folder = temporary();
    const modules = path.join(folder, "node_modules");
    const unpacked = path.join(modules, "@jwt-sidecar/client");
    mkdirSync(unpacked, { recursive: true });
    // dist is there already, and other tests read it.
    const pack = ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder];
    const name = execFileSync("npm", pack, { cwd: FOLDER, encoding: "utf8" }).trim();
    const tarball = path.join(folder, name);
    execFileSync("tar", ["--extract", "--file", tarball, "--strip", "1"], { cwd: unpacked });
    for (const scope of ["@grpc", "@bufbuild", "@types"]) {
      symlinkSync(path.join(FOLDER, "node_modules", scope), path.join(modules, scope));
    }
  });

  after(() => rmSync(folder, { recursive: true }));

  function written(name: string, text: string): string {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return file;
  }

  function run(file: string): string {
    return execFileSync(process.execPath, [file], { cwd: folder, encoding: "utf8" }).trim();
  }

  /** Compiles with types, as strictly as can be, and gives the file that runs. */
  function compiled(name: string, text: string, ...more: string[]): string {
    const file = written(name, text);
    const tsc = path.join(FOLDER, "node_modules/.bin/tsc");
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
    const options = ["--module", "nodenext", "--target", "es2022", "--types", "node", ...more];
    execFileSync(tsc, [file, ...strict, ...options], { cwd: folder, encoding: "utf8" });
    return file.replace(/ts$/, "js");
  }

  test("is imported, with types", () => {
    const head = `import { Client, SidecarUnavailable } from "@jwt-sidecar/client";`;
    assert.equal(run(compiled("imports.mts", head + PROGRAM)), "true");
  });

  test("is required, with types", () => {
    const head = `import { Client, SidecarUnavailable } from "@jwt-sidecar/client";`;
    assert.equal(run(compiled("requires.cts", head + PROGRAM)), "true");
  });

  test("has a page whose code compiles as it stands there", () => {
    const page = readFileSync(path.join(FOLDER, "README.md"), "utf8");
    const [first, ...others] = [...page.matchAll(/^```js\n(.*?)^```/gms)].map((one) => one[1]);
    // What a service has of its own.
    const around = `
      import { Server } from "@grpc/grpc-js";
      import { interceptor, TokenRefused } from "@jwt-sidecar/client";
      import type { Express } from "express";
      declare const app: Express;
      declare const text: string;
      declare function ordersOf(subject: string): string[];
    `;
    const functions = others.map((block, at) => `export const f${at} = async () => {\n${block}};`);
    compiled("page.mts", [around, first, ...functions].join("\n"), "--noImplicitAny", "false");
    assert.equal(others.length, 4);
  });

  test("has the same names and classes, imported and required", () => {
    const text = `
      import * as imported from "@jwt-sidecar/client";
      import { createRequire } from "node:module";
      const required = createRequire(import.meta.url)("@jwt-sidecar/client");
      const names = Object.keys(required);
      console.log(names.sort().join(), names.every((name) => imported[name] === required[name]));
    `;
    assert.equal(
      run(written("both.mjs", text)),
      "CallRejected,Client,SidecarUnavailable,TokenRefused,interceptor,middleware,tokenOf true",
    );
  });

  test("holds its licence, its page and nothing of the tests", () => {
    const list = ["pack", "--dry-run", "--json", "--ignore-scripts"];
    const parsed = JSON.parse(execFileSync("npm", list, { cwd: FOLDER, encoding: "utf8" }));
    const [packed] = Object.values<{ files: { path: string }[] }>(parsed);
    const files = packed?.files.map((one) => one.path) ?? [];
    for (const file of ["LICENSE", "README.md", "package.json"]) {
      assert(files.includes(file), file);
    }
    assert(files.every((file) => /^(dist\/|LICENSE|README\.md|package\.json)/.test(file)));
  });
});
