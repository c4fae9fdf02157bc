// Serves the handlers of this test with a router of Node: main.js ROUTER PORT.
'use strict';
const http = require('node:http');

// The narrower first.
const PREFIXES = {
  '/public/hidden': 'hidden',
  '/public': 'public',
  '/internal': 'internal',
  '/admin': 'admin',
  '/reports': 'reports',
};

function answer(response, name, path) {
  response.setHeader('X-Handler', name);
  response.setHeader('X-Path', encodeURIComponent(Buffer.from(path).toString('latin1')));
  response.end();
}

function byPath(response, path) {
  const prefix = Object.keys(PREFIXES).find((one) => `${path}/`.startsWith(`${one}/`));
  answer(response, PREFIXES[prefix] ?? (path === '/keys' ? 'keys' : 'other'), path);
}

// As the documentation of node:http reads a request's path.
function url(request, response) {
  byPath(response, new URL(request.url, 'http://127.0.0.1').pathname);
}

// The same, decoded: as servers of files do.
function decoded(request, response) {
  byPath(response, decodeURIComponent(new URL(request.url, 'http://127.0.0.1').pathname));
}

// As it was done before URL, and still is.
function legacy(request, response) {
  byPath(response, require('node:url').parse(request.url).pathname ?? '');
}

function express() {
  const app = require('express')();
  const serve = (name) => (request, response) => answer(response, name, request.path);
  for (const [prefix, name] of Object.entries(PREFIXES)) app.get(`${prefix}{/*path}`, serve(name));
  app.get('/keys', serve('keys'));
  app.get('/{*path}', serve('other'));
  return app;
}

// The router of Fastify.
function findMyWay() {
  const router = require('find-my-way')();
  const serve = (name) => (request, response) => answer(response, name, request.url);
  for (const [prefix, name] of Object.entries(PREFIXES)) {
    router.on('GET', prefix, serve(name));
    router.on('GET', `${prefix}/*`, serve(name));
  }
  router.on('GET', '/keys', serve('keys'));
  router.on('GET', '/*', serve('other'));
  return (request, response) => router.lookup(request, response);
}

const ROUTERS = {
  url: () => url,
  decoded: () => decoded,
  legacy: () => legacy,
  express,
  'find-my-way': findMyWay,
};

const [router, port] = process.argv.slice(2);
const serve = ROUTERS[router]();
const server = http.createServer((request, response) => {
  try {
    serve(request, response);
  } catch (error) {
    response.statusCode = 400;
    response.end(error.message);
  }
});
server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
