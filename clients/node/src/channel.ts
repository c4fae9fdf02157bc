/** The one channel of a client. */

import { type ChannelCredentials, Client, credentials } from "@grpc/grpc-js";

/** Certificates and key in PEM. */
export interface Tls {
  /** CAs that the sidecar's certificate may be from; left out, those that Node.js trusts. */
  readonly ca?: Buffer;
  /** What the client shows itself with: both or neither. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

const DEFAULT_ADDRESS = "unix:/run/jwt-sidecar/sidecar.sock";
const ADDRESS = /^(unix:.+|([^\s:/[\]]+|\[[^\s/[\]]+\]):[0-9]{1,5})$/;
const SERVICE = "sidecar.v1.TokenService";

// RefreshToken is not among these: a refresh token works once.
const RETRIED = ["ValidateToken", "ExplainToken", "IssueToken", "RevokeToken", "GetJwks"];

/** The service config of gRPC. */
export const SERVICE_CONFIG = {
  methodConfig: [
    {
      name: RETRIED.map((method) => ({ service: SERVICE, method })),
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: "0.05s",
        maxBackoff: "0.5s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

const OPTIONS = {
  "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
  // Nothing in DNS changes how often a call is made.
  "grpc.service_config_disable_resolution": 1,
  // Tokens go to the sidecar, not by way of what http_proxy names.
  "grpc.enable_http_proxy": 0,
  "grpc.keepalive_time_ms": 30_000,
  // By default a sidecar that was away for long is looked for every two minutes.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
};

/** The address that a client without one uses. */
export function defaultAddress(): string {
  return process.env.JWT_SIDECAR_ADDRESS || DEFAULT_ADDRESS;
}

/** A channel to `unix:PATH` or `host:port`, not yet connected; throws TypeError for another address. */
export function channelTo(address: string, tls: Tls | undefined): Client {
  if (!ADDRESS.test(address)) {
    throw new TypeError(`the address ${address} is neither unix:PATH nor host:port`);
  }
  const target = address.startsWith("unix:") ? address : `dns:${address}`;
  return new Client(target, tls ? secured(tls) : credentials.createInsecure(), OPTIONS);
}

function secured(tls: Tls): ChannelCredentials {
  return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
}
