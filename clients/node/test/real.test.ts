import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { inspect } from "node:util";
import { status } from "@grpc/grpc-js";
import { CallRejected, Client, TokenRefused } from "../src/index";
import { real } from "./processes";
import { PATIENT_MS } from "./table";

suite("a client of a real sidecar", () => {
  let sidecar: Awaited<ReturnType<typeof real>>;
  let client: Client;

  before(async () => {
    sidecar = await real();
    client = new Client(sidecar.address, { deadlineMs: PATIENT_MS });
  });

  after(async () => {
    client.close();
    await sidecar.stop();
  });

  async function assertRefused(answer: Promise<unknown>, reason: string): Promise<TokenRefused> {
    const failure: unknown = await answer.catch((error: unknown) => error);
    assert(failure instanceof TokenRefused, inspect(failure));
    assert.equal(failure.reason, reason);
    return failure;
  }

  test("what is issued is valid, and says what was asked for", async () => {
    const begin = Date.now();
    const { token, ...issued } = await client.issue({
      subject: "alice",
      scopes: ["orders:read"],
      lifetimeSeconds: 60,
      tokenId: "t-1",
      claims: { roles: ["admin", "ops"], tenant: { name: "müller" } },
    });
    const verified = await client.validate(token, {
      issuerName: "internal",
      audiences: ["billing", "orders"],
      scopes: ["orders:read"],
      requiredClaims: { roles: "ops", "tenant.name": ["müller", "meier"] },
    });
    assert.equal(verified.issuerName, "internal");
    assert.equal(verified.issuer, "https://tokens.example");
    assert.equal(verified.subject, "alice");
    assert.deepEqual(verified.audiences, ["orders"]);
    assert.deepEqual(verified.scopes, ["orders:read"]);
    assert.equal(verified.tokenId, "t-1");
    assert.equal(verified.algorithm, "ES256");
    assert.equal(verified.keyId, issued.keyId);
    assert.deepEqual(verified.expireTime, issued.expireTime);
    assert.deepEqual(verified.issueTime, issued.issueTime);
    const lifetime = (issued.expireTime?.getTime() ?? 0) - (issued.issueTime?.getTime() ?? 0);
    assert.equal(lifetime, 60_000);
    assert(Math.abs((issued.issueTime?.getTime() ?? 0) - begin) < 5_000);
    assert.equal(verified.notBeforeTime, undefined);
    assert.deepEqual(verified.claims.tenant, { name: "müller" });
    assert.equal(issued.refreshToken, "");
  });

  test("what is not as it is required is refused", async () => {
    const { token } = await client.issue({ scopes: ["orders:read"], claims: { tenant: "a" } });
    const required = (asked: object) => client.validate(token, asked);
    await assertRefused(required({ audiences: ["billing"] }), "AUDIENCE_MISMATCH");
    await assertRefused(required({ requiredClaims: { tenant: "b" } }), "CLAIM_MISMATCH");
    await assertRefused(required({ requiredClaims: { role: "b" } }), "CLAIM_MISSING");
    const refused = await assertRefused(
      required({ scopes: ["orders:read", "orders:write"] }),
      "SCOPE_INSUFFICIENT",
    );
    assert.equal(
      refused.wwwAuthenticate("shop"),
      'Bearer realm="shop", error="insufficient_scope", scope="orders:read orders:write"',
    );
  });

  test("a token of the future is refused, by a time and by a delay", async () => {
    const soon = new Date(Date.now() + 600_000);
    for (const notBefore of [soon, 600]) {
      const { token } = await client.issue({ notBefore, lifetimeSeconds: 900 });
      await assertRefused(client.validate(token), "NOT_YET_VALID");
    }
  });

  test("a consumer's token is valid, and refused once it has expired", async () => {
    const now = Math.floor(Date.now() / 1_000);
    const valid = await client.validate(consumersToken(now + 60));
    assert.equal(valid.consumer, "jack");
    assert.equal(valid.issuerName, "");
    await assertRefused(client.validate(consumersToken(now - 3_600)), "EXPIRED");
  });

  test("a consumer grants itself nothing", async () => {
    const claims = { sub: "root", scope: "orders:write", aud: "orders" };
    const boast = consumersToken(Math.floor(Date.now() / 1_000) + 60, claims);
    const valid = await client.validate(boast);
    assert.deepEqual([valid.subject, valid.scopes, valid.audiences], ["", [], []]);
    assert.deepEqual(Object.keys(valid.claims).sort(), ["exp", "key"]);
    await assertRefused(client.validate(boast, { scopes: ["orders:write"] }), "SCOPE_INSUFFICIENT");
    await assertRefused(client.validate(boast, { audiences: ["orders"] }), "AUDIENCE_MISMATCH");
    const requiredClaims = { sub: "root" };
    await assertRefused(client.validate(boast, { requiredClaims }), "CLAIM_MISSING");
  });

  test("what is no token is refused", async () => {
    await assertRefused(client.validate(""), "TOKEN_MISSING");
    await assertRefused(client.validate("a.b.c"), "TOKEN_MALFORMED");
  });

  test("a refresh token works once", async () => {
    const first = await client.issue({
      subject: "alice",
      scopes: ["orders:read", "orders:write"],
      withRefreshToken: true,
    });
    assert(first.refreshExpireTime);
    const second = await client.refresh(first.refreshToken, { scopes: ["orders:read"] });
    assert.notEqual(second.refreshToken, first.refreshToken);
    assert.deepEqual((await client.validate(second.token)).scopes, ["orders:read"]);
    // Within the grace of the signer, a client that lost the answer gets it again.
    assert.equal((await client.refresh(first.refreshToken)).token, second.token);
    const third = await client.refresh(second.refreshToken);
    await assertRefused(client.refresh(first.refreshToken), "REPLAYED");
    await assertRefused(client.refresh(third.refreshToken), "REVOKED");
    await assertRefused(client.validate(third.token), "REVOKED");
  });

  test("what is revoked is refused", async () => {
    const one = await client.issue({ subject: "bob" });
    const revoked = await client.revoke({ token: one.token }, { note: "a test" });
    assert(Math.abs(revoked.getTime() - Date.now()) < 5_000);
    await assertRefused(client.validate(one.token), "REVOKED");

    const two = await client.issue({ subject: "bob" });
    const { tokenId, expireTime = new Date() } = two;
    const issuer = "https://tokens.example";
    await client.revoke({ tokenReference: { issuer, tokenId, expireTime } });
    await assertRefused(client.validate(two.token), "REVOKED");

    const three = await client.issue({ subject: "carol", withRefreshToken: true });
    await client.revoke({ refreshToken: three.refreshToken });
    const refreshed = await client.refresh(three.refreshToken).catch((error: unknown) => error);
    assert(refreshed instanceof TokenRefused);

    const four = await client.issue({ subject: "dave" });
    const issuedBefore = new Date(Date.now() + 1_000);
    await client.revoke({ subject: { issuer, subject: "dave", issuedBefore } });
    await assertRefused(client.validate(four.token), "REVOKED");

    const five = await client.issue({ consumer: "jack" });
    await client.validate(five.token);
    await client.revoke({ consumer: "jack" });
    await assertRefused(client.validate(five.token), "REVOKED");
  });

  test("an explanation has every check", async () => {
    const { token } = await client.issue({ subject: "alice" });
    const good = await client.explain(token);
    assert(good.result.valid);
    assert.equal(good.result.token.subject, "alice");
    assert(good.checks.every((one) => one.outcome === "PASSED" || one.outcome === "SKIPPED"));
    assert.equal(JSON.parse(good.unverifiedHeaderJson).alg, "ES256");
    assert.equal(JSON.parse(good.unverifiedClaimsJson).sub, "alice");

    const bad = await client.explain(token, { audiences: ["billing"] });
    assert(!bad.result.valid);
    assert.equal(bad.result.reason, "AUDIENCE_MISMATCH");
    const failed = bad.checks.filter((one) => one.outcome === "FAILED");
    assert.deepEqual(
      failed.map((one) => [one.name, one.reason]),
      [["audience", "AUDIENCE_MISMATCH"]],
    );
    assert.match(failed[0]?.detail ?? "", /billing/);
  });

  test("the keys that verify are there", async () => {
    const { keyId } = await client.issue();
    const { keys } = JSON.parse(await client.jwks());
    assert.deepEqual(
      keys.map((one: { kid: string }) => one.kid),
      [keyId],
    );
  });

  test("a wrong call is rejected with its code and reason", async () => {
    const rejected = async (answer: Promise<unknown>, code: status, reason: string) => {
      const failure: unknown = await answer.catch((error: unknown) => error);
      assert(failure instanceof CallRejected, inspect(failure));
      assert.deepEqual([failure.code, failure.errorReason], [code, reason]);
    };
    const { INVALID_ARGUMENT, FAILED_PRECONDITION } = status;
    await rejected(client.issue({ signer: "other" }), FAILED_PRECONDITION, "NOT_CONFIGURED");
    await rejected(client.issue({ claims: { sub: "a" } }), INVALID_ARGUMENT, "NAME_RESERVED");
    const { token } = await client.issue();
    await rejected(
      client.validate(token, { clientAddress: "nowhere" }),
      INVALID_ARGUMENT,
      "FIELD_INVALID",
    );
  });

  test("console.log shows no token of what was issued", async () => {
    const issued = await client.issue({ withRefreshToken: true });
    const text = inspect(issued, { depth: null });
    assert(!text.includes(issued.token) && !text.includes(issued.refreshToken));
    assert.match(text, /ES256/);
  });
});

/** A token of the consumer in tests/clients/sidecar.yaml. */
function consumersToken(exp: number, claims: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256" })}.${part({ key: "user-key", exp, ...claims })}`;
  const secret = "an-example-secret-of-32-bytes-or-more";
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
