import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { Client } from "../src/index";
import { real, start } from "./processes";
import { PATIENT_MS } from "./table";

test("the example service answers 401, 403 and 200 as it should", async (t) => {
  const sidecar = await real();
  t.after(() => sidecar.stop());
  const client = new Client(sidecar.address, { deadlineMs: PATIENT_MS });
  t.after(() => client.close());
  const service = await start(process.execPath, ["example/orders.mjs"], {
    cwd: path.resolve(__dirname, "../.."),
    env: { ...process.env, JWT_SIDECAR_ADDRESS: sidecar.address, PORT: "0" },
  });
  t.after(() => service.kill("SIGKILL"));

  const ask = async (method: string, token?: string) => {
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const response = await fetch(`${service.line}/orders`, { method, headers });
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, challenge: response.headers.get("www-authenticate"), body };
  };

  const missing = await ask("GET");
  assert.equal(missing.status, 401);
  assert.equal(missing.challenge, 'Bearer realm="orders"');

  const { token } = await client.issue({ subject: "carol", scopes: ["orders:read"] });
  assert.deepEqual((await ask("GET", token)).body, [{ id: 1, by: "alice" }]);

  const forbidden = await ask("POST", token);
  assert.equal(forbidden.status, 403);
  assert.equal(forbidden.body.reason, "REASON_SCOPE_INSUFFICIENT");
  assert.equal(
    forbidden.challenge,
    'Bearer realm="orders", error="insufficient_scope", scope="orders:write"',
  );

  const writer = await client.issue({ subject: "carol", scopes: ["orders:write"] });
  const added = await ask("POST", writer.token);
  assert.equal(added.status, 201);
  assert.deepEqual(added.body, { id: 2, by: "carol" });

  await client.revoke({ token });
  assert.equal((await ask("GET", token)).body.reason, "REASON_REVOKED");

  await service.kill("SIGTERM");
  assert.equal(await service.ended, 0);
});
