/** gRPC servers in this process, whose messages are bytes. */

import { type MethodDefinition, type Server, ServerCredentials } from "@grpc/grpc-js";

/** As it is. */
export const bytes = (value: Buffer) => value;

/** A method of this path, which takes and gives bytes. */
export function bytesMethod(
  path: string,
  requestStream = false,
  responseStream = false,
): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

/** Has the server listen on a port of this host that is free; gives its address. */
export async function listen(
  server: Server,
  host = "127.0.0.1",
  secured = ServerCredentials.createInsecure(),
): Promise<string> {
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:0`, secured, (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  return `${host}:${port}`;
}
