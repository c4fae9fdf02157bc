import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import path from "node:path";
import { suite, type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Server, status } from "@grpc/grpc-js";
import { CallRejected, Client, SidecarUnavailable } from "../src/index";
import { type Running, scripted, start, temporary } from "./processes";
import { bytesMethod, listen } from "./servers";
import { PATIENT_MS, REPOSITORY } from "./table";

const DEADLINE_MS = 500;
// What a busy machine may add to a deadline.
const SLACK_MS = 5_000;

/** A client of this address, for the length of a test. */
function clientOf(t: TestContext, address: string, deadlineMs = DEADLINE_MS): Client {
  const client = new Client(address, { deadlineMs });
  t.after(() => client.close());
  return client;
}

async function assertUnavailable(answer: Promise<unknown>): Promise<void> {
  const begin = performance.now();
  await assert.rejects(answer, SidecarUnavailable);
  assert(performance.now() - begin < DEADLINE_MS + SLACK_MS);
}

/** The address of a server that listens, for the length of a test. */
async function listening(t: TestContext, server: net.Server): Promise<string> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => sockets.add(socket.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

suite("nothing that goes wrong is a pass, and all of it ends in time", () => {
  test("nothing listens", async (t) => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, "close");
    await assertUnavailable(clientOf(t, `127.0.0.1:${port}`).validate("valid"));
  });

  test("there is no socket", (t) =>
    assertUnavailable(clientOf(t, "unix:/nonexistent/sidecar.sock").validate("valid")));

  test("there is no such host", (t) =>
    assertUnavailable(clientOf(t, "sidecar.invalid:1").validate("valid")));

  const peers: [string, () => net.Server][] = [
    ["says nothing", () => net.createServer()],
    ["hangs up", () => net.createServer((socket) => socket.destroy())],
    ["sends random bytes", () => net.createServer((socket) => socket.end(randomBytes(4096)))],
    ["answers in HTTP/1.1", () => http.createServer((_, response) => response.end("valid"))],
    [
      "answers in HTTP/1.1 without being asked",
      () =>
        net.createServer((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
    ],
    [
      "is killed during the call",
      () => http2.createServer().on("stream", ({ session }) => session?.destroy()),
    ],
    [
      "answers in HTTP/2 without gRPC",
      () => http2.createServer((_, response) => response.end("valid")),
    ],
    ["begins an answer and stops", () => http2.createServer().on("stream", beginAnswer)],
  ];
  for (const [name, peer] of peers) {
    test(`the peer ${name}`, async (t) => {
      const client = clientOf(t, await listening(t, peer()));
      await assertUnavailable(client.validate("valid"));
    });
  }

  test("the peer answers in gRPC without a message", async (t) => {
    const server = http2.createServer().on("stream", (stream) => {
      const headers = { ":status": 200, "content-type": "application/grpc", "grpc-status": "0" };
      stream.respond(headers, { endStream: true });
    });
    const client = clientOf(t, await listening(t, server), PATIENT_MS);
    // gRPC gives UNIMPLEMENTED to both sides of a call whose method is not what it should be.
    await assert.rejects(client.validate("valid"), CallRejected);
  });

  test("the sidecar hangs", async (t) => {
    const sidecar = await scripted();
    t.after(() => sidecar.kill("SIGKILL"));
    await assertUnavailable(clientOf(t, sidecar.line).validate("hangs"));
  });

  test("the sidecar is killed during a call", async (t) => {
    const sidecar = await scripted();
    const client = clientOf(t, sidecar.line, PATIENT_MS);
    await client.validate("valid");
    const answer = assertUnavailable(client.validate("hangs"));
    await sidecar.kill("SIGKILL");
    await answer;
  });

  test("the sidecar is stopped, and comes again", async (t) => {
    const folder = temporary();
    t.after(() => rmSync(folder, { recursive: true }));
    const address = `unix:${path.join(folder, "sidecar.sock")}`;
    const client = clientOf(t, address, PATIENT_MS);
    const first = await scripted(address);
    await client.validate("valid");
    await first.kill("SIGKILL");
    await assertUnavailable(client.validate("valid"));
    const second = await scripted(address);
    t.after(() => second.kill("SIGKILL"));
    assert.equal((await recovered(client)).subject, "alice");
  });
});

/** Half of what could become a yes. */
function beginAnswer(stream: http2.ServerHttp2Stream): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
  stream.write(Buffer.from("00000000100801", "hex"));
}

/** Asks until there is an answer. */
async function recovered(client: Client) {
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      return await client.validate("valid");
    } catch (error) {
      assert(error instanceof SidecarUnavailable && performance.now() < end, String(error));
      await setTimeout(20);
    }
  }
}

const METHODS = {
  ValidateToken: [(client: Client) => client.validate("a"), 3],
  ExplainToken: [(client: Client) => client.explain("a"), 3],
  IssueToken: [(client: Client) => client.issue(), 3],
  RevokeToken: [(client: Client) => client.revoke({ token: "a" }), 3],
  GetJwks: [(client: Client) => client.jwks(), 3],
  RefreshToken: [(client: Client) => client.refresh("a"), 1],
} as const;

type Reply = (error: object | null, answer?: Buffer) => void;

/** A client of a server that has this one method. */
async function clientOfServer(t: TestContext, method: string, handle: (reply: Reply) => void) {
  const server = new Server();
  const named = bytesMethod(`/sidecar.v1.TokenService/${method}`);
  const handler = (_: unknown, reply: Reply) => handle(reply);
  server.addService({ [method]: named }, { [method]: handler });
  t.after(() => server.forceShutdown());
  return clientOf(t, await listen(server), PATIENT_MS);
}

suite("what is UNAVAILABLE is asked", () => {
  for (const [method, [ask, times]] of Object.entries(METHODS)) {
    test(`${times} times: ${method}`, async (t) => {
      let attempts = 0;
      const client = await clientOfServer(t, method, (reply) => {
        attempts += 1;
        reply({ code: status.UNAVAILABLE, details: "why" });
      });
      await assertUnavailable(ask(client));
      assert.equal(attempts, times);
    });
  }
});

suite("an answer with nothing in it is none", () => {
  for (const [method, [ask]] of Object.entries(METHODS)) {
    test(method, async (t) => {
      const client = await clientOfServer(t, method, (reply) => reply(null, Buffer.of()));
      await assertUnavailable(ask(client));
    });
  }
});

/** A process that asks once, with this in its environment. */
function asking(address: string, env: NodeJS.ProcessEnv): Promise<Running> {
  const program = `
    const { Client } = require("./clients/node/build/src/index.js");
    new Client(${JSON.stringify(address)}, { deadlineMs: ${PATIENT_MS} }).validate("valid").then(
      () => console.log("passed"),
      (error) => console.log(String(error)),
    );
  `;
  const options = { cwd: REPOSITORY, env: { ...process.env, ...env } };
  return start(process.execPath, ["-e", program], options);
}

test("a client that is not closed does not keep the process", async (t) => {
  const sidecar = await scripted();
  t.after(() => sidecar.kill("SIGKILL"));
  const { line, ended } = await asking(sidecar.line, {});
  assert.equal(line, "passed");
  assert.equal(await ended, 0);
});

test("tokens do not go through the proxy of the environment", async (t) => {
  const sidecar = await scripted();
  t.after(() => sidecar.kill("SIGKILL"));
  const proxy = "http://127.0.0.1:1";
  const { line, ended } = await asking(sidecar.line, { http_proxy: proxy, grpc_proxy: proxy });
  assert.equal(line, "passed");
  await ended;
});
