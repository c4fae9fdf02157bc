import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { inspect } from "node:util";
import { status } from "@grpc/grpc-js";
import { SERVICE_CONFIG } from "../src/channel";
import { CallRejected, Client, SidecarUnavailable, TokenRefused } from "../src/index";
import { type Running, scripted } from "./processes";
import { asInTable, type Case, deadlineOf, expectedToken, PATIENT_MS, TABLE } from "./table";

suite("a client of the scripted sidecar", () => {
  let sidecar: Running;
  let client: Client;

  before(async () => {
    sidecar = await scripted();
    client = new Client(sidecar.line, { deadlineMs: PATIENT_MS });
  });

  after(async () => {
    client.close();
    await sidecar.kill("SIGKILL");
  });

  const validate = (one: Case, token = `${one.name}~validate`) => {
    const { scopes = [], dpop, http_method, http_uri } = one.request ?? {};
    const proof = dpop && { dpop, httpMethod: http_method ?? "", httpUri: http_uri ?? "" };
    const deadlineMs = deadlineOf(one);
    return client.validate(token, { scopes, deadlineMs, ...(proof && { proof }) });
  };

  for (const one of TABLE.cases) {
    const expected = one.client;
    test(one.name, async () => {
      if (expected.outcome === "token") {
        assert.deepEqual(asInTable(await validate(one)), expectedToken(expected));
        return;
      }
      const failure = await validate(one).then(
        () => assert.fail("it passed"),
        (error: unknown) => error,
      );
      if (expected.outcome === "refused") {
        assert(failure instanceof TokenRefused);
        assert.equal(failure.reason, expected.reason);
        assert.equal(failure.message, expected.message);
        assert.equal(failure.wwwAuthenticate(TABLE.realm) ?? "", expected.www_authenticate);
      } else if (expected.outcome === "unavailable") {
        assert(failure instanceof SidecarUnavailable);
      } else {
        assert(failure instanceof CallRejected);
        assert.equal(status[failure.code], expected.code);
        assert.equal(failure.errorReason, expected.error_reason);
      }
      assert.equal(failure.httpStatus, expected.http_status);
      assert.equal(status[failure.grpcStatus], expected.grpc_status);
    });
  }

  test("no text of an error holds the token", async () => {
    // The last is a case that the sidecar does not know, of which it says so with the token.
    const cases = [...TABLE.cases.filter((one) => one.client.outcome !== "token")];
    const secret = "SECRET-TOKEN";
    for (const name of [...cases.map((one) => one.name), "unknown"]) {
      const one = cases.find((one) => one.name === name);
      const deadlineMs = one ? deadlineOf(one) : PATIENT_MS;
      const error: unknown = await client
        .validate(`${name}~${secret}`, { deadlineMs, proof: { dpop: secret } })
        .catch((error: unknown) => error);
      assert(error instanceof Error);
      const text = [String(error), error.stack, inspect(error), JSON.stringify(error)].join();
      assert.doesNotMatch(text, /SECRET/, name);
    }
  });

  test("a Token can't be changed", async () => {
    const token = await client.validate("valid");
    for (const one of [token, token.audiences, token.scopes, token.claims, token.claims.roles]) {
      assert(Object.isFrozen(one));
    }
    const expireTime = token.expireTime?.getTime();
    token.expireTime?.setTime(0);
    assert.equal(token.expireTime?.getTime(), expireTime);
  });

  test("claims are read by JSON.parse, and are beside it as they were signed", async () => {
    const token = await client.validate("valid");
    assert.deepEqual(token.claims.roles, ["admin"]);
    assert.equal(token.claims.n, 12345678901234567e3);
    assert.match(token.claimsJson, /"n":12345678901234567890}/);
  });

  test("a call after close ends with SidecarUnavailable", async () => {
    const closed = new Client(sidecar.line);
    closed.close();
    await assert.rejects(closed.validate("valid"), SidecarUnavailable);
  });
});

test("the service config is that of every client", () => {
  assert.deepEqual(SERVICE_CONFIG, TABLE.service_config);
});

class Settings {
  get scopes() {
    return ["orders:read"];
  }
}

suite("what can't be asked is a TypeError, and not a requirement less", () => {
  const client = new Client("127.0.0.1:1");
  after(() => client.close());
  // As from JavaScript, where no types are checked.
  const asked: [string, object][] = [
    ["an unknown option", { scope: ["orders:read"] }],
    ["an undefined option", { scopes: undefined }],
    ["an option that is null", { issuerName: null }],
    ["no claims where there should be some", { requiredClaims: null }],
    ["claims in a Map, which is {} in JSON", { requiredClaims: new Map([["tenant", "a"]]) }],
    ["claims that are inherited", { requiredClaims: Object.create({ tenant: "a" }) }],
    ["claims by getters of a class", { requiredClaims: new Settings() }],
    ["options by getters of a class", new Settings()],
    ["an undefined claim", { requiredClaims: { tenant: undefined } }],
    ["an undefined claim within another", { requiredClaims: { a: { b: undefined } } }],
    ["a claim that is no JSON", { requiredClaims: { tenant: Number.NaN } }],
  ];
  for (const [name, options] of asked) {
    test(name, () => assert.rejects(client.validate("a", options), TypeError));
  }
});

suite("an address", () => {
  for (const address of ["", "localhost", "http://localhost:1", "dns:///localhost:1", "::1:80"]) {
    test(`${address} is refused`, () => assert.throws(() => new Client(address), TypeError));
  }
  for (const address of ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:a.sock", "unix:///a"]) {
    test(`${address} is taken`, () => new Client(address).close());
  }
});

test("without an address it is the environment's, else the usual one", async (t) => {
  const before = process.env.JWT_SIDECAR_ADDRESS;
  t.after(() => {
    process.env.JWT_SIDECAR_ADDRESS = before ?? "";
  });
  for (const [address, expected] of [
    ["unix:/nonexistent/a.sock", /\/nonexistent\/a\.sock/],
    ["", /\/run\/jwt-sidecar\/sidecar\.sock/],
  ] as const) {
    process.env.JWT_SIDECAR_ADDRESS = address;
    const client = new Client();
    t.after(() => client.close());
    await assert.rejects(client.validate("valid"), expected);
  }
});

suite("a deadline", () => {
  for (const deadlineMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    test(`of ${deadlineMs} is refused`, () =>
      assert.throws(() => new Client("localhost:1", { deadlineMs }), RangeError));
  }
});
