import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, suite, test } from "node:test";
import { inspect } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { ValidateTokenResponseSchema } from "../src/gen/sidecar/v1/token_service_pb";
import { Client, type ClientOptions, SidecarUnavailable } from "../src/index";
import { PYTHON } from "./processes";
import { bytesMethod, listen } from "./servers";
import { PATIENT_MS } from "./table";

/** Prints a key, and its certificate for localhost, which is its own CA. */
const CERTIFICATE = `
import datetime
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
now = datetime.datetime.now(datetime.UTC)
certificate = (
    x509.CertificateBuilder()
    .subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now - datetime.timedelta(hours=1))
    .not_valid_after(now + datetime.timedelta(hours=1))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    .sign(key, hashes.SHA256())
)
print(key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode(), certificate.public_bytes(serialization.Encoding.PEM).decode(), sep="")
`;

suite("a client of a sidecar with TLS that wants to know its callers", () => {
  let server: Server;
  let address: string;
  let key: Buffer;
  let cert: Buffer;
  const shown: unknown[] = [];

  before(async () => {
    const pems = execFileSync(PYTHON, ["-c", CERTIFICATE], { encoding: "utf8" });
    const end = pems.indexOf("-----BEGIN CERTIFICATE");
    key = Buffer.from(pems.slice(0, end));
    cert = Buffer.from(pems.slice(end));
    const answer = create(ValidateTokenResponseSchema, {
      valid: true,
      token: { subject: "alice", claimsJson: "{}" },
    });
    const method = bytesMethod("/sidecar.v1.TokenService/ValidateToken");
    server = new Server();
    server.addService({ ValidateToken: method } as ServiceDefinition, {
      ValidateToken: (
        call: ServerUnaryCall<Buffer, Buffer>,
        end: (error: null, value: Buffer) => void,
      ) => {
        shown.push(...call.metadata.get("authorization"));
        end(null, Buffer.from(toBinary(ValidateTokenResponseSchema, answer)));
      },
    });
    const secured = ServerCredentials.createSsl(
      cert,
      [{ private_key: key, cert_chain: cert }],
      true,
    );
    address = await listen(server, "localhost", secured);
  });

  after(() => server.forceShutdown());

  async function validate(options: ClientOptions): Promise<string> {
    const client = new Client(address, { deadlineMs: PATIENT_MS, ...options });
    try {
      return (await client.validate("a")).subject;
    } finally {
      client.close();
    }
  }

  test("a certificate and a caller token are shown, the token anew at each call", async () => {
    shown.length = 0;
    let calls = 0;
    const callerToken = () => `caller-${++calls}`;
    const tls = { ca: cert, cert, key };
    const client = new Client(address, { deadlineMs: PATIENT_MS, tls, callerToken });
    await client.validate("a");
    await client.validate("a");
    client.close();
    assert.deepEqual(shown, ["Bearer caller-1", "Bearer caller-2"]);
  });

  test("without a caller token none is shown", async () => {
    shown.length = 0;
    assert.equal(await validate({ tls: { ca: cert, cert, key } }), "alice");
    assert.deepEqual(shown, []);
  });

  const unfit: [string, () => ClientOptions][] = [
    ["a CA that the sidecar's certificate is not from", () => ({ tls: {} })],
    ["no certificate", () => ({ tls: { ca: cert } })],
    ["no TLS", () => ({})],
  ];
  for (const [name, options] of unfit) {
    test(`with ${name} there is no answer`, () =>
      assert.rejects(validate(options()), SidecarUnavailable));
  }

  test("a caller token that can't be one is not sent and not told", async () => {
    shown.length = 0;
    for (const token of ["SECRET\n", "Bearer SECRET", ""]) {
      const tls = { ca: cert, cert, key };
      const failure: unknown = await validate({ tls, callerToken: () => token }).catch(
        (error: unknown) => error,
      );
      assert(failure instanceof TypeError);
      assert.doesNotMatch(inspect(failure), /SECRET/);
    }
    assert.deepEqual(shown, []);
  });
});
