import assert from "node:assert/strict";
import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, suite, type TestContext, test } from "node:test";
import { inspect } from "node:util";
import express from "express";
import { Client, type Middleware, type MiddlewareOptions, middleware, tokenOf } from "../src/index";
import { type Running, scripted } from "./processes";
import { asInTable, deadlineOf, expectedToken, PATIENT_MS, TABLE } from "./table";

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** Every value is a header of its own, as no client of Node.js would send them by itself. */
async function get(port: number, path: string, authorization: readonly string[]): Promise<Answer> {
  const headers = ["Host", "localhost"];
  for (const value of authorization) {
    headers.push("Authorization", value);
  }
  const request = http.get({ port, path, host: "127.0.0.1", headers, agent: false });
  const [response]: http.IncomingMessage[] = await once(request, "response");
  let body = "";
  for await (const chunk of response?.setEncoding("utf8") ?? []) {
    body += chunk;
  }
  return { status: response?.statusCode, headers: response?.headers ?? {}, body };
}

/** The two kinds of services, which take the middleware of each request by its path. */
const services: [string, (of: (path: string) => Middleware) => http.Server][] = [
  [
    "node:http",
    (of) =>
      http.createServer((request, response) => {
        of(request.url ?? "")(request, response, () => answer(request, response));
      }),
  ],
  [
    "Express",
    (of) => {
      const app = express();
      app.use((request, response, next) => of(request.url)(request, response, next));
      app.use(answer);
      return http.createServer(app);
    },
  ],
];

/** The port of a server that listens, for the length of a test. */
async function listening(t: TestContext, server: http.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  response.end(inspect(asInTable(tokenOf(request)), { depth: null }));
}

for (const [name, service] of services) {
  suite(`the middleware in ${name}`, () => {
    let sidecar: Running;
    let client: Client;
    let server: http.Server;
    let port: number;
    const options = new Map<string, MiddlewareOptions>();
    const logged: unknown[] = [];
    const log = (failure: unknown) => logged.push(failure);

    before(async () => {
      sidecar = await scripted();
      client = new Client(sidecar.line, { deadlineMs: PATIENT_MS });
      server = service((path) =>
        middleware(client, { realm: TABLE.realm, log, ...options.get(path) }),
      );
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      port = (server.address() as AddressInfo).port;
    });

    after(async () => {
      server.close();
      client.close();
      await sidecar.kill("SIGKILL");
    });

    // Middleware takes no proof.
    for (const one of TABLE.cases.filter((one) => !one.request?.dpop)) {
      const expected = one.client;
      test(one.name, async () => {
        const { scopes = [] } = one.request ?? {};
        options.set(`/${one.name}`, { scopes, deadlineMs: deadlineOf(one) });
        logged.length = 0;
        const got = await get(port, `/${one.name}`, [`Bearer ${one.name}~http`]);

        if (expected.outcome === "token") {
          assert.equal(got.status, 200);
          assert.equal(got.body, inspect(expectedToken(expected), { depth: null }));
          return;
        }
        assert.equal(got.status, expected.http_status);
        assert.equal(got.headers["content-type"], "application/json");
        assert.equal(got.headers["retry-after"], expected.http_status === 503 ? "1" : undefined);
        const body = JSON.parse(got.body);
        if (expected.outcome === "refused") {
          const { reason, message } = expected;
          const error = reason.toLowerCase();
          assert.deepEqual(body, { error, reason: `REASON_${reason}`, message });
          assert.equal(got.headers["www-authenticate"] ?? "", expected.www_authenticate);
          assert.deepEqual(logged, []);
          return;
        }
        assert.deepEqual(
          body,
          expected.outcome === "unavailable"
            ? { error: "sidecar_unavailable", message: "the token can't be checked now" }
            : { error: "internal_error", message: "the token can't be checked" },
        );
        assert.equal(got.headers["www-authenticate"], undefined);
        assert.equal(logged.length, 1);
        assert.doesNotMatch(inspect(logged), /~http/);
      });
    }

    for (const one of TABLE.headers) {
      test(`Authorization: ${one.name}`, async () => {
        const got = await get(port, "/", one.authorization);
        if (one.reason) {
          assert.equal(got.status, 401);
          assert.equal(JSON.parse(got.body).reason, `REASON_${one.reason}`);
          const challenged = got.headers["www-authenticate"] ?? "";
          assert.match(challenged, /^Bearer realm="shop"/);
          assert.equal(challenged.includes("error="), one.reason !== "TOKEN_MISSING");
        } else {
          assert.equal(got.status, 200);
        }
      });
    }
  });
}

suite("what else holds of the middleware", () => {
  const client = new Client("unix:/nonexistent/sidecar.sock");
  after(() => client.close());

  test("options of which a copy has nothing are a TypeError at once", () => {
    for (const options of [new Map([["scopes", ["a"]]]), Object.create({ scopes: ["a"] })]) {
      assert.throws(() => middleware(client, options), TypeError);
    }
  });

  test("a deadline that can't be is a RangeError at once", () => {
    assert.throws(() => middleware(client, { deadlineMs: 0 }), RangeError);
  });

  test("an option that is unknown or undefined is a TypeError at once", () => {
    for (const options of [{ scope: ["a"] }, { scopes: undefined }, { audience: "orders" }]) {
      assert.throws(() => middleware(client, options as object), TypeError);
    }
  });

  test("tokenOf throws for a request that did not go through it", () => {
    assert.throws(() => tokenOf({}), /no token/);
  });

  test("it is a handler of an Express route", async (t) => {
    const app = express();
    app.get("/orders/:id", middleware(client, { scopes: ["orders:read"] }), answer);
    const got = await get(await listening(t, http.createServer(app)), "/orders/1", []);
    assert.equal(got.status, 401);
    assert.equal(got.headers["www-authenticate"], 'Bearer realm="jwt-sidecar"');
  });

  test("what has been answered is not answered again", async (t) => {
    const through = middleware(client, { log: () => {} });
    const server = http.createServer(async (request, response) => {
      response.writeHead(504).end();
      await through(request, response, () => assert.fail("it passed"));
    });
    assert.equal((await get(await listening(t, server), "/", ["Bearer a"])).status, 504);
  });

  test("by default a failure is logged, without the token", async (t) => {
    const lines = t.mock.method(console, "error", () => {});
    const through = middleware(client);
    const server = http.createServer((request, response) => {
      through(request, response, () => assert.fail("it passed"));
    });
    const port = await listening(t, server);
    assert.equal((await get(port, "/", ["Bearer SECRET"])).status, 503);
    assert.equal(lines.mock.callCount(), 1);
    const text = inspect(lines.mock.calls[0]?.arguments);
    assert.match(text, /SidecarUnavailable: UNAVAILABLE/);
    assert.doesNotMatch(text, /SECRET/);
  });

  test("an error of any other kind is no pass", async (t) => {
    const broken = new Client("unix:/nonexistent/sidecar.sock", {
      callerToken: () => {
        throw new Error("no file");
      },
    });
    t.after(() => broken.close());
    const logged: unknown[] = [];
    const through = middleware(broken, { log: (failure) => logged.push(failure) });
    const server = http.createServer((request, response) => {
      through(request, response, () => assert.fail("it passed"));
    });
    const port = await listening(t, server);
    const got = await get(port, "/", ["Bearer a"]);
    assert.equal(got.status, 500);
    assert.equal(JSON.parse(got.body).error, "internal_error");
    assert.match(String(logged), /no file/);
  });
});
