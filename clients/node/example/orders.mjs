// A service whose callers need a token: orders:read to see the orders, orders:write to add one.
//
//     JWT_SIDECAR_ADDRESS=unix:sidecar.sock PORT=8080 node example/orders.mjs

import { createServer } from "node:http";
import { Client, middleware, tokenOf } from "@jwt-sidecar/client";

const client = new Client();
const orders = [{ id: 1, by: "alice" }];

/** @type {Record<string, { through: import("@jwt-sidecar/client").Middleware, answer: import("node:http").RequestListener }>} */
const routes = {
  "GET /orders": {
    through: middleware(client, { realm: "orders", scopes: ["orders:read"] }),
    answer: (_, response) => json(response, 200, orders),
  },
  "POST /orders": {
    through: middleware(client, { realm: "orders", scopes: ["orders:write"] }),
    answer: (request, response) => {
      const order = { id: orders.length + 1, by: tokenOf(request).subject };
      orders.push(order);
      json(response, 201, order);
    },
  },
};

/**
 * @param {import("node:http").ServerResponse} response
 * @param {number} status
 * @param {unknown} value
 */
function json(response, status, value) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (route) {
    route.through(request, response, () => route.answer(request, response));
  } else {
    json(response, 404, { error: "not_found" });
  }
});

server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`http://127.0.0.1:${address.port}`);
});

process.once("SIGTERM", () => {
  server.close(() => client.close());
});
