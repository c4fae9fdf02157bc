import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { after, before, suite, test } from "node:test";
import { inspect } from "node:util";
import {
  Client as Channel,
  credentials,
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerInterceptor,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { Client, type InterceptorOptions, interceptor, tokenOf } from "../src/index";
import { PYTHON, type Running, scripted, start } from "./processes";
import { bytes, bytesMethod, listen } from "./servers";
import { asInTable, deadlineOf, expectedToken, PATIENT_MS, REPOSITORY, TABLE } from "./table";

const SHOP: ServiceDefinition = {
  Unary: bytesMethod("/shop.Shop/Unary"),
  ServerStream: bytesMethod("/shop.Shop/ServerStream", false, true),
  ClientStream: bytesMethod("/shop.Shop/ClientStream", true, false),
  Bidi: bytesMethod("/shop.Shop/Bidi", true, true),
  Open: bytesMethod("/shop.Shop/Open"),
};

suite("the interceptor", () => {
  let sidecar: Running;
  let client: Client;
  let server: Server;
  let address: string;
  let channel: Channel;
  let handled = 0;
  const options = new Map<string, InterceptorOptions>();
  const logged: unknown[] = [];
  const log = (failure: unknown) => logged.push(failure);

  // The options are those of the case that the token names.
  const intercept: ServerInterceptor = (method, call) =>
    interceptor(client, { log, withoutToken: ["/shop.Shop/Open"], ...options.get("now") })(
      method,
      call,
    );

  /** What every handler answers: the token, as text. */
  const told = (call: object) => Buffer.from(inspect(asInTable(tokenOf(call)), { depth: null }));

  /** The handler, counted as soon as it is run. */
  const counted =
    <A extends unknown[]>(handle: (...given: A) => void) =>
    (...given: A) => {
      handled += 1;
      handle(...given);
    };

  before(async () => {
    sidecar = await scripted();
    client = new Client(sidecar.line, { deadlineMs: PATIENT_MS });
    server = new Server({ interceptors: [intercept] });
    server.addService(SHOP, {
      Unary: counted((call: ServerUnaryCall<Buffer, Buffer>, answer: Answer) =>
        answer(null, told(call)),
      ),
      ServerStream: counted((call: ServerWritableStream<Buffer, Buffer>) => {
        call.write(told(call));
        call.end();
      }),
      ClientStream: counted((call: ServerReadableStream<Buffer, Buffer>, answer: Answer) => {
        call.on("data", () => {});
        call.on("end", () => answer(null, told(call)));
      }),
      Bidi: counted((call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on("data", () => call.write(told(call)));
        call.on("end", () => call.end());
      }),
      Open: (call: ServerUnaryCall<Buffer, Buffer>, answer: Answer) => {
        assert.throws(() => tokenOf(call));
        answer(null, Buffer.from("open"));
      },
    });
    address = await listen(server);
    channel = new Channel(address, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  });

  after(async () => {
    channel.close();
    server.forceShutdown();
    client.close();
    await sidecar.kill("SIGKILL");
  });

  type Answer = (error: null, value: Buffer) => void;

  /** The answer of a method, or the error of the call. */
  function call(method: string, token: string): Promise<Buffer | ServiceError> {
    const metadata = new Metadata();
    if (token) {
      metadata.set("authorization", `Bearer ${token}`);
    }
    const { path, requestStream, responseStream } = SHOP[method] ?? assert.fail(method);
    return new Promise((resolve) => {
      const end = (error: ServiceError | null, value?: Buffer) =>
        resolve(error ?? value ?? assert.fail("neither"));
      const given = [path, bytes, bytes] as const;
      if (requestStream && responseStream) {
        const stream = channel.makeBidiStreamRequest(...given, metadata);
        stream.on("data", resolve).on("error", resolve);
        stream.write(Buffer.from("a"));
        stream.end();
      } else if (requestStream) {
        const stream = channel.makeClientStreamRequest(...given, metadata, end);
        stream.on("error", () => {}).write(Buffer.from("a"));
        stream.end();
      } else if (responseStream) {
        const stream = channel.makeServerStreamRequest(...given, Buffer.from("a"), metadata);
        stream.on("data", resolve).on("error", resolve);
      } else {
        channel.makeUnaryRequest(...given, Buffer.from("a"), metadata, end);
      }
    });
  }

  // Interceptors take no proof.
  for (const one of TABLE.cases.filter((one) => !one.request?.dpop)) {
    const expected = one.client;
    test(one.name, async () => {
      const { scopes = [] } = one.request ?? {};
      options.set("now", { scopes, deadlineMs: deadlineOf(one) });
      logged.length = 0;
      handled = 0;
      const got = await call("Unary", `${one.name}~grpc`);

      if (expected.outcome === "token") {
        assert.equal(String(got), inspect(expectedToken(expected), { depth: null }));
        return;
      }
      assert(got instanceof Error);
      assert.equal(handled, 0);
      assert.equal(status[got.code], expected.grpc_status);
      if (expected.outcome === "refused") {
        assert.equal(got.details, `${expected.reason}: ${expected.message}`);
        assert.deepEqual(logged, []);
        return;
      }
      const now = expected.outcome === "unavailable" ? " now" : "";
      assert.equal(got.details, `the token can't be checked${now}`);
      assert.equal(logged.length, 1);
      assert.doesNotMatch(inspect(logged), /~grpc/);
    });
  }

  for (const method of ["Unary", "ServerStream", "ClientStream", "Bidi"]) {
    test(`a method of the kind ${method}`, async () => {
      options.set("now", {});
      assert.match(String(await call(method, "valid")), /alice/);
      handled = 0;
      const outcomes = [
        ["", "UNAUTHENTICATED"],
        ["refused-expired", "UNAUTHENTICATED"],
        ["refused-rule-denied", "PERMISSION_DENIED"],
        ["hangs", "UNAVAILABLE"],
        ["garbage", "UNAVAILABLE"],
        ["status-unimplemented", "INTERNAL"],
      ] as const;
      for (const [token, code] of outcomes) {
        options.set("now", token === "hangs" ? { deadlineMs: 300 } : {});
        const got = await call(method, token);
        assert(got instanceof Error, token);
        assert.equal(status[got.code], code, token);
      }
      assert.equal(handled, 0);
    });
  }

  test("a method that needs no token", async () => {
    assert.equal(String(await call("Open", "")), "open");
    assert.equal(String(await call("Open", "refused-expired")), "open");
  });

  test("a call that is given up while its token is checked is not handled", async (t) => {
    const token = await client.validate("valid");
    let begun = () => {};
    let passed = () => {};
    const checking = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const checked = new Promise<void>((resolve) => {
      passed = resolve;
    });
    t.mock.method(client, "validate", async () => {
      begun();
      await checked;
      return token;
    });
    handled = 0;
    const metadata = new Metadata();
    metadata.set("authorization", "Bearer valid");
    const given = channel.makeClientStreamRequest(
      "/shop.Shop/ClientStream",
      bytes,
      bytes,
      metadata,
      () => {},
    );
    given.on("error", () => {});
    await checking;
    given.cancel();
    // By its answer the server has seen what was sent before.
    assert.equal(String(await call("Open", "")), "open");
    passed();
    assert.equal(String(await call("Open", "")), "open");
    assert.equal(handled, 0);
  });

  /** The name of the status of a call with this header, sent as it is. */
  async function statusOf(authorization: string | undefined): Promise<string> {
    const session = http2.connect(`http://${address}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/shop.Shop/Unary",
      "content-type": "application/grpc",
      te: "trailers",
      ...(authorization !== undefined && { authorization }),
    });
    stream.end(Buffer.alloc(5));
    let headers: http2.IncomingHttpHeaders = {};
    stream.on("response", (first) => {
      headers = { ...headers, ...first };
    });
    stream.on("trailers", (last) => {
      headers = { ...headers, ...last };
    });
    await once(stream.resume(), "close");
    session.close();
    const details = decodeURIComponent(String(headers["grpc-message"] ?? ""));
    return `${status[Number(headers["grpc-status"])]} ${details.split(":")[0]}`.trim();
  }

  for (const one of TABLE.headers.filter((one) => one.authorization.length < 2)) {
    test(`authorization: ${one.name}`, async () => {
      options.delete("now");
      // grpc-js drops what gRPC allows in no header before any interceptor sees it.
      const reason = one.name === "a tab after the scheme" ? "TOKEN_MISSING" : one.reason;
      const got = await statusOf(one.authorization[0]);
      assert.equal(got, reason ? `UNAUTHENTICATED ${reason}` : "OK OK");
    });
  }

  // Node.js itself gives its servers only the first authorization of a request in HTTP/2: that is
  // the one that is checked, and the one that a handler sees.
  for (const [name, values, expected] of [
    ["the first of two is checked", ["Bearer valid", "Bearer refused-expired"], "OK"],
    ["and not the second", ["Bearer refused-expired", "Bearer valid"], "UNAUTHENTICATED"],
    ["of two schemes", ["Basic dmFsaWQ6", "Bearer valid"], "UNAUTHENTICATED"],
  ] as const) {
    test(`authorization twice: ${name}`, async () => {
      options.delete("now");
      const program = [
        "import grpc, sys",
        "method = grpc.insecure_channel(sys.argv[1]).unary_unary('/shop.Shop/Unary')",
        "future = method.future(b'', metadata=[('authorization', one) for one in sys.argv[2:]])",
        "print(future.code().name)",
      ].join("\n");
      const { line, ended } = await start(PYTHON, ["-c", program, address, ...values], {
        cwd: REPOSITORY,
      });
      assert.equal(line, expected);
      await ended;
    });
  }

  test("options of which a copy has nothing are a TypeError at once", () => {
    for (const options of [new Map([["scopes", ["a"]]]), Object.create({ scopes: ["a"] })]) {
      assert.throws(() => interceptor(client, options), TypeError);
    }
  });

  test("a deadline that can't be is a RangeError at once", () => {
    assert.throws(() => interceptor(client, { deadlineMs: 0 }), RangeError);
  });

  test("an option that is unknown or undefined is a TypeError at once", () => {
    for (const wrong of [{ scope: ["a"] }, { scopes: undefined }, { realm: "shop" }]) {
      assert.throws(() => interceptor(client, wrong as object), TypeError);
    }
  });
});
