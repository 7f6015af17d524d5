import assert from 'node:assert/strict'
import { gatewayYaml, LINES, placeOf, problemsIn, type Additions } from './gateway-yaml'

/** Where it is added, what is added, the path, the text at line and column, the problem, the nearest valid value. */
type Row = readonly [keyof Additions, string, string, string, string, string?]

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  durations: [
    ['entrypoint', 'headersTimeout: 5', 'entrypoint.headersTimeout', '5', '5 has no unit', '5s'],
    ['entrypoint', 'headersTimeout: 5000', 'entrypoint.headersTimeout', '5000', '5000 has no unit', '5000ms'],
    ['entrypoint', 'headersTimeout: "5"', 'entrypoint.headersTimeout', '"5"', '"5" has no unit', '5s'],
    ['entrypoint', 'headersTimeout: "1000"', 'entrypoint.headersTimeout', '"1000"', '"1000" has no unit', '1000ms'],
    ['entrypoint', 'headersTimeout: 999', 'entrypoint.headersTimeout', '999', '999 has no unit', '999s'],
    ['entrypoint', 'headersTimeout: 5 sec', 'entrypoint.headersTimeout', '5 sec', '"5 sec" is not a duration', '5s'],
    ['entrypoint', 'headersTimeout: 5S', 'entrypoint.headersTimeout', '5S', '"5S" is not a duration', '5s'],
    ['entrypoint', 'requestTimeout: 1m30s', 'entrypoint.requestTimeout', '1m30s', '"1m30s" is not a duration', '90s'],
    ['entrypoint', 'requestTimeout: -5s', 'entrypoint.requestTimeout', '-5s', '"-5s" is not a duration'],
    ['entrypoint', 'requestTimeout: soon', 'entrypoint.requestTimeout', 'soon', '"soon" is not a duration'],
    ['entrypoint', 'headersTimeout: 0s', 'entrypoint.headersTimeout', '0s', '"0s" is too short'],
    ['entrypoint', 'headersTimeout: 2h', 'entrypoint.headersTimeout', '2h', '"2h" is too long'],
    ['entrypoint', 'requestTimeout: 25d', 'entrypoint.requestTimeout', '25d', '"25d" is too long'],
    [
      'entrypoint',
      'headersTimeout: 0.5ms',
      'entrypoint.headersTimeout',
      '0.5ms',
      '"0.5ms" is finer than a millisecond',
    ],
    ['entrypoint', 'headersTimeout: [5s]', 'entrypoint.headersTimeout', '[5s]', 'a list is not text'],
    ['entrypoint', 'headersTimeout: true', 'entrypoint.headersTimeout', 'true', 'true is not text'],
    ['entrypoint', 'headersTimeout: ~', 'entrypoint.headersTimeout', '~', '"headersTimeout" is empty'],
    ['upstream', 'timeouts: { connect: 0ms }', 'upstreams.orders.timeouts.connect', '0ms', '"0ms" is too short'],
    ['upstream', 'timeouts: { response: 30 }', 'upstreams.orders.timeouts.response', '30', '30 has no unit', '30s'],
  ],
  sizes: [
    ['entrypoint', 'maxHeaderSize: 16384', 'entrypoint.maxHeaderSize', '16384', '16384 has no unit', '16384B'],
    ['entrypoint', 'maxHeaderSize: "16384"', 'entrypoint.maxHeaderSize', '"16384"', '"16384" has no unit', '16384B'],
    ['entrypoint', 'maxHeaderSize: 16k', 'entrypoint.maxHeaderSize', '16k', '"16k" is not a size', '16KiB'],
    ['entrypoint', 'maxHeaderSize: 1 MB', 'entrypoint.maxHeaderSize', '1 MB', '"1 MB" is not a size', '1MiB'],
    ['entrypoint', 'maxHeaderSize: big', 'entrypoint.maxHeaderSize', 'big', '"big" is not a size'],
    ['entrypoint', 'maxHeaderSize: 512B', 'entrypoint.maxHeaderSize', '512B', '"512B" is too small'],
    ['entrypoint', 'maxHeaderSize: 2MiB', 'entrypoint.maxHeaderSize', '2MiB', '"2MiB" is too large'],
  ],
  numbers: [
    ['entrypoint', 'maxConnections: 0', 'entrypoint.maxConnections', '0', '0 is too small'],
    ['entrypoint', 'maxConnections: 1.5', 'entrypoint.maxConnections', '1.5', '1.5 is not a whole number'],
    ['entrypoint', 'maxConnections: "10"', 'entrypoint.maxConnections', '"10"', '"10" is text, not a number', '10'],
    ['entrypoint', 'maxConnections: many', 'entrypoint.maxConnections', 'many', '"many" is not a whole number'],
    ['entrypoint', 'maxConnections: 1e9', 'entrypoint.maxConnections', '1e9', '1000000000 is too large'],
    ['entrypoint', 'maxConnections: .nan', 'entrypoint.maxConnections', '.nan', 'NaN is not a whole number'],
    ['upstream', 'maxConnections: 0', 'upstreams.orders.maxConnections', '0', '0 is too small'],
  ],
  'trusted proxies': [
    [
      'entrypoint',
      'trustedProxies: [1]',
      'entrypoint.trustedProxies[0]',
      '1',
      '1 is a hop count, which a client can fill up with addresses of its own',
    ],
    [
      'entrypoint',
      'trustedProxies: [true]',
      'entrypoint.trustedProxies[0]',
      'true',
      'true would believe every client about its own address',
    ],
    [
      'entrypoint',
      'trustedProxies: [0.0.0.0/0]',
      'entrypoint.trustedProxies[0]',
      '0.0.0.0/0',
      '"0.0.0.0/0" would believe every client about its own address',
    ],
    [
      'entrypoint',
      'trustedProxies: ["::/0"]',
      'entrypoint.trustedProxies[0]',
      '"::/0"',
      '"::/0" would believe every client about its own address',
    ],
    [
      'entrypoint',
      'trustedProxies: [10.0.0.0/33]',
      'entrypoint.trustedProxies[0]',
      '10.0.0.0/33',
      '"10.0.0.0/33" has no prefix length from 1 to 32 behind its "/"',
    ],
    [
      'entrypoint',
      'trustedProxies: ["fd00::/129"]',
      'entrypoint.trustedProxies[0]',
      '"fd00::/129"',
      '"fd00::/129" has no prefix length from 1 to 128 behind its "/"',
    ],
    [
      'entrypoint',
      'trustedProxies: [10.0.0.0/255.0.0.0]',
      'entrypoint.trustedProxies[0]',
      '10.0.0.0/255',
      '"10.0.0.0/255.0.0.0" has no prefix length from 1 to 32 behind its "/"',
    ],
    [
      'entrypoint',
      'trustedProxies: [10.0.0.1, 300.0.0.1]',
      'entrypoint.trustedProxies[1]',
      '300.0.0.1',
      '"300.0.0.1" is not an address',
    ],
    [
      'entrypoint',
      'trustedProxies: [10.0.0.0/8/8]',
      'entrypoint.trustedProxies[0]',
      '10.0.0.0/8/8',
      '"10.0.0.0/8/8" is not an address',
    ],
    [
      'entrypoint',
      'trustedProxies: ["fe80::1%eth0"]',
      'entrypoint.trustedProxies[0]',
      '"fe80::1%eth0"',
      '"fe80::1%eth0" is not an address',
    ],
    [
      'entrypoint',
      'trustedProxies: [loopback]',
      'entrypoint.trustedProxies[0]',
      'loopback',
      '"loopback" is not an address',
      '127.0.0.0/8',
    ],
    [
      'entrypoint',
      'trustedProxies: [lb.example]',
      'entrypoint.trustedProxies[0]',
      'lb.example',
      '"lb.example" is not an address',
    ],
    [
      'entrypoint',
      'trustedProxies: 10.0.0.0/8',
      'entrypoint.trustedProxies',
      '10.0.0.0/8',
      '"10.0.0.0/8" is not a list',
      '["10.0.0.0/8"]',
    ],
    ['entrypoint', 'trustedProxies: true', 'entrypoint.trustedProxies', 'true', 'true is not a list'],
  ],
  targets: [
    [
      'upstreams',
      '  b: { targets: [localhost:9001] }',
      'upstreams.b.targets[0]',
      'localhost',
      '"localhost:9001" has no scheme',
      'http://localhost:9001',
    ],
    [
      'upstreams',
      '  b: { targets: [ftp://h] }',
      'upstreams.b.targets[0]',
      'ftp',
      '"ftp://h" is neither http nor https',
    ],
    ['upstreams', '  b: { targets: [h] }', 'upstreams.b.targets[0]', 'h', '"h" is not an origin'],
    [
      'upstreams',
      '  b: { targets: [http://h/api] }',
      'upstreams.b.targets[0]',
      'http://h/api',
      '"http://h/api" has a path: the path comes from the request',
      'http://h',
    ],
    [
      'upstreams',
      '  b: { targets: ["http://h?x=1"] }',
      'upstreams.b.targets[0]',
      '"http://h',
      '"http://h?x=1" has a query or a fragment',
      'http://h',
    ],
    [
      'upstreams',
      '  b: { targets: ["http://h#x"] }',
      'upstreams.b.targets[0]',
      '"http://h',
      '"http://h#x" has a query or a fragment',
      'http://h',
    ],
    [
      'upstreams',
      '  b: { targets: ["http://me@h"] }',
      'upstreams.b.targets[0]',
      '"http://me@h"',
      '"http://…@h" has credentials in it',
      'http://h',
    ],
    [
      'upstreams',
      '  b: { targets: [http://h:99999] }',
      'upstreams.b.targets[0]',
      'http://h',
      '"http://h:99999" is not a valid URL',
    ],
    [
      'upstreams',
      '  b: { targets: [http://h:0] }',
      'upstreams.b.targets[0]',
      'http://h',
      '"http://h:0" has port 0, where nothing can listen',
    ],
    ['upstream', 'retries: { attempts: 0 }', 'upstreams.orders.retries.attempts', '0', '0 is too small'],
    [
      'upstream',
      'retries: { attempts: 2, on: [timeout] }',
      'upstreams.orders.retries.on[0]',
      'timeout',
      '"timeout" is no failure known here',
      'response_timeout',
    ],
    [
      'upstream',
      'retries: { attempts: 2, on: [404] }',
      'upstreams.orders.retries.on[0]',
      '404',
      '404 is no failure known here',
    ],
    ['upstreams', '  b: { targets: [9001] }', 'upstreams.b.targets[0]', '9001', '9001 is not text'],
    [
      'upstreams',
      '  b: { targets: [http://h, http://H:80/] }',
      'upstreams.b.targets[1]',
      'http://H',
      '"http://H:80/" is here a second time',
    ],
    ['upstreams', '  b: { targets: [] }', 'upstreams.b.targets', 'targets', '"targets" has nothing in it'],
    [
      'upstreams',
      '  b: { targets: http://h }',
      'upstreams.b.targets',
      'http://h',
      '"http://h" is not a list',
      '["http://h"]',
    ],
    ['upstreams', '  b: {}', 'upstreams.b.targets', '{}', '"targets" is missing'],
    ['upstreams', '  b:', 'upstreams.b', '', '"b" is empty'],
  ],
  paths: [
    ['match', 'path: orders', 'routes[0].match.path', 'orders', '"orders" does not begin with "/"', '/orders'],
    ['match', 'path: /orders/', 'routes[0].match.path', '/orders/', '"/orders/" ends with "/"', '/orders'],
    ['match', 'path: /a//b', 'routes[0].match.path', '/a//b', '"/a//b" has an empty segment', '/a/b'],
    [
      'match',
      'path: /a/*',
      'routes[0].match.path',
      '/a/*',
      '"/a/*" has a wildcard: a path matches everything below it anyway',
      '/a',
    ],
    [
      'match',
      'path: /a/*rest',
      'routes[0].match.path',
      '/a/*rest',
      '"/a/*rest" has a wildcard: a path matches everything below it anyway',
    ],
    [
      'match',
      'path: /a?b=c',
      'routes[0].match.path',
      '/a?b=c',
      '"/a?b=c" has a query or a fragment, which no route can match',
      '/a',
    ],
    [
      'match',
      'path: "/a#b"',
      'routes[0].match.path',
      '"/a#b"',
      '"/a#b" has a query or a fragment, which no route can match',
      '/a',
    ],
    [
      'match',
      'path: /a/../b',
      'routes[0].match.path',
      '/a/../b',
      '"/a/../b" has the segment "..", which is refused in every request',
      '/a/b',
    ],
    [
      'match',
      'path: /a/./b',
      'routes[0].match.path',
      '/a/./b',
      '"/a/./b" has the segment ".", which is refused in every request',
      '/a/b',
    ],
    [
      'match',
      'path: /a%2Fb',
      'routes[0].match.path',
      '/a%2Fb',
      '"/a%2Fb" has an encoded slash, backslash or NUL, refused in every request',
    ],
    [
      'match',
      'path: /%41',
      'routes[0].match.path',
      '/%41',
      '"/%41" has the segment "%41", which is not written as requests write it',
      '/A',
    ],
    [
      'match',
      'path: /%e9',
      'routes[0].match.path',
      '/%e9',
      '"/%e9" has the segment "%e9", which is not written as requests write it',
      '/%E9',
    ],
    [
      'match',
      'path: /café',
      'routes[0].match.path',
      '/café',
      '"/café" has the segment "café", which is not written as requests write it',
      '/caf%C3%A9',
    ],
    [
      'match',
      'path: /a b',
      'routes[0].match.path',
      '/a b',
      '"/a b" has the segment "a b", which is not written as requests write it',
      '/a%20b',
    ],
    [
      'match',
      'path: "/u/{id}"',
      'routes[0].match.path',
      '"/u/{id}"',
      '"/u/{id}" has the segment "{id}", which is not written as requests write it',
      '/u/:id',
    ],
    [
      'match',
      'path: "/u/:"',
      'routes[0].match.path',
      '"/u/:"',
      '"/u/:" has ":" in it: a parameter is ":" and a name, for a whole segment',
    ],
    [
      'match',
      'path: /u/:1st',
      'routes[0].match.path',
      '/u/:1st',
      '"/u/:1st" has ":1st" in it: a parameter is ":" and a name, for a whole segment',
    ],
    [
      'match',
      'path: /u/:user-id',
      'routes[0].match.path',
      '/u/:user-id',
      '"/u/:user-id" has ":user-id" in it: a parameter is ":" and a name, for a whole segment',
      '/u/:user_id',
    ],
    [
      'match',
      'path: /u/:id.json',
      'routes[0].match.path',
      '/u/:id.json',
      '"/u/:id.json" has ":id.json" in it: a parameter is ":" and a name, for a whole segment',
    ],
    ['match', 'path: /u/:id/:id', 'routes[0].match.path', '/u/:id/:id', '"/u/:id/:id" has the parameter ":id" twice'],
    [
      'match',
      'path: http://h/a',
      'routes[0].match.path',
      'http://h/a',
      '"http://h/a" is a URL: the host belongs under "host"',
      '/a',
    ],
    ['match', 'path: /', 'routes[0].match.path', '/ ', '"/" is taken: the gateway answers / itself'],
    [
      'match',
      'path: /metrics',
      'routes[0].match.path',
      '/metrics',
      '"/metrics" is taken: the gateway answers /metrics itself',
    ],
    [
      'match',
      'path: /metrics/:x',
      'routes[0].match.path',
      '/metrics/:x',
      '"/metrics/:x" is taken: the gateway answers /metrics itself',
    ],
    [
      'match',
      'path: /metrics/',
      'routes[0].match.path',
      '/metrics/',
      '"/metrics/" is taken: the gateway answers /metrics itself',
    ],
    ['match', 'path: 7', 'routes[0].match.path', '7', '7 is not text'],
    ['match', 'host: a.example', 'routes[0].match.path', '{ host', '"path" is missing'],
  ],
  hosts: [
    [
      'match',
      'path: /a, host: "http://a.example"',
      'routes[0].match.host',
      '"http',
      '"http://a.example" is a URL, not a host name',
      'a.example',
    ],
    [
      'match',
      'path: /a, host: a.example:80',
      'routes[0].match.host',
      'a.example:80',
      '"a.example:80" has a port: hosts are compared without it',
      'a.example',
    ],
    [
      'match',
      'path: /a, host: a.example/b',
      'routes[0].match.host',
      'a.example/b',
      '"a.example/b" has a path: that belongs under "path"',
      'a.example',
    ],
    [
      'match',
      'path: /a, host: a.example.',
      'routes[0].match.host',
      'a.example.',
      '"a.example." ends with a dot',
      'a.example',
    ],
    [
      'match',
      'path: /a, host: .a.example',
      'routes[0].match.host',
      '.a.example',
      '".a.example" begins with a dot',
      '*.a.example',
    ],
    ['match', 'path: /a, host: "*"', 'routes[0].match.host', '"*"', '"*" would be any host'],
    ['match', 'path: /a, host: a.*', 'routes[0].match.host', 'a.*', '"a.*" has a "*" that is not a whole first label'],
    [
      'match',
      'path: /a, host: "*a.example"',
      'routes[0].match.host',
      '"*a',
      '"*a.example" has a "*" that is not a whole first label',
    ],
    [
      'match',
      'path: /a, host: bücher.example',
      'routes[0].match.host',
      'bücher',
      '"bücher.example" is not in the ASCII form that clients send',
      'xn--bcher-kva.example',
    ],
    ['match', 'path: /a, host: a..example', 'routes[0].match.host', 'a..example', '"a..example" is not a host name'],
    ['match', 'path: /a, host: ""', 'routes[0].match.host', '""', '"" is not a host name'],
  ],
  methods: [
    ['match', 'path: /a, methods: [GTE]', 'routes[0].match.methods[0]', 'GTE', '"GTE" is not a method', 'GET'],
    ['match', 'path: /a, methods: [GET, fetch]', 'routes[0].match.methods[1]', 'fetch', '"fetch" is not a method'],
    ['match', 'path: /a, methods: ["*"]', 'routes[0].match.methods[0]', '"*"', '"*" is not a method'],
    ['match', 'path: /a, methods: [any]', 'routes[0].match.methods[0]', 'any', '"any" is not a method'],
    ['match', 'path: /a, methods: [7]', 'routes[0].match.methods[0]', '7', '7 is not text'],
    [
      'match',
      'path: /a, methods: [CONNECT]',
      'routes[0].match.methods[0]',
      'CONNECT',
      '"CONNECT" opens a tunnel, which the gateway does not do',
    ],
    ['match', 'path: /a, methods: GET', 'routes[0].match.methods', 'GET', '"GET" is not a list', '["GET"]'],
    ['match', 'path: /a, methods: []', 'routes[0].match.methods', 'methods', '"methods" has nothing in it'],
  ],
  'rate limits': [
    ['route', 'rateLimit: { limit: 0, window: 1m }', 'routes[0].rateLimit.limit', '0', '0 is too small'],
    ['route', 'rateLimit: { limit: -1, window: 1m }', 'routes[0].rateLimit.limit', '-1', '-1 is too small'],
    ['route', 'rateLimit: { limit: 5, window: 999ms }', 'routes[0].rateLimit.window', '999ms', '"999ms" is too short'],
    ['route', 'rateLimit: { limit: 5, window: 60 }', 'routes[0].rateLimit.window', '60', '60 has no unit', '60s'],
    ['route', 'rateLimit: { limit: 5 }', 'routes[0].rateLimit.window', '{ limit', '"window" is missing'],
    ['route', 'rateLimit: { window: 5s }', 'routes[0].rateLimit.limit', '{ window', '"limit" is missing'],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, key: ip }',
      'routes[0].rateLimit.key',
      'ip',
      '"ip" is nothing this version can count by',
      'client',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, key: consumer }',
      'routes[0].rateLimit.key',
      'consumer',
      '"consumer" is nothing this version can count by',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, key: "header:a b" }',
      'routes[0].rateLimit.key',
      '"header',
      '"header:a b" is nothing this version can count by',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, key: "header:Host" }',
      'routes[0].rateLimit.key',
      '"header',
      '"header:Host" tells no clients apart',
    ],
    ['route', 'rateLimit: { limit: 5, window: 5s, cost: 0 }', 'routes[0].rateLimit.cost', '0', '0 is too small'],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, cost: 6 }',
      'routes[0].rateLimit.cost',
      '6',
      '6 is more than the limit: such a request would never pass',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, dryRun: yes }',
      'routes[0].rateLimit.dryRun',
      'yes',
      '"yes" is neither true nor false',
      'true',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, bypass: [10.0.0.0/0] }',
      'routes[0].rateLimit.bypass[0]',
      '10.0.0.0/0',
      '"10.0.0.0/0" would let everybody pass',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, algorithm: sliding-window }',
      'routes[0].rateLimit.algorithm',
      'sliding-window',
      '"sliding-window" is not known here',
      'gcra',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, onStoreFailure: close }',
      'routes[0].rateLimit.onStoreFailure',
      'close',
      '"close" is not known here',
      'closed',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, name: "a b" }',
      'routes[0].rateLimit.name',
      '"a b"',
      '"a b" cannot be a name',
      'a-b',
    ],
    ['route', 'rateLimit: [{ limit: 5, window: 5s }]', 'routes[0].rateLimit[0].name', '{ limit', '"name" is missing'],
    ['route', 'rateLimit: []', 'routes[0].rateLimit', 'rateLimit', '"rateLimit" has nothing in it'],
    ['route', 'rateLimit: 100', 'routes[0].rateLimit', '100', '100 is not a map or a list'],
    ['route', 'rateLimit: [5]', 'routes[0].rateLimit[0]', '5', '5 is not a map'],
    ['route', 'rateLimit: ~', 'routes[0].rateLimit', '~', '"rateLimit" is empty'],
  ],
  'prefixes to strip': [
    ['route', 'rewrite: { stripPrefix: / }', 'routes[0].rewrite.stripPrefix', '/', '"/" would strip nothing'],
    [
      'route',
      'rewrite: { stripPrefix: orders }',
      'routes[0].rewrite.stripPrefix',
      'orders',
      '"orders" does not begin with "/"',
      '/orders',
    ],
    [
      'route',
      'rewrite: { stripPrefix: /orders/ }',
      'routes[0].rewrite.stripPrefix',
      '/orders/',
      '"/orders/" ends with "/"',
      '/orders',
    ],
    [
      'route',
      'rewrite: { stripPrefix: /:id }',
      'routes[0].rewrite.stripPrefix',
      '/:id',
      '"/:id" has the parameter ":id", which has no fixed length',
    ],
  ],
  names: [
    ['upstreams', '  "a b": { targets: [http://h] }', 'upstreams["a b"]', '"a b"', '"a b" cannot be a name', 'a-b'],
    [
      'upstreams',
      '  __proto__: { targets: [http://h] }',
      'upstreams.__proto__',
      '__proto__',
      '"__proto__" cannot be a name',
    ],
    [
      'routes',
      '  - { name: 7, match: { path: /b }, upstream: orders }',
      'routes[1].name',
      '7',
      '7 is a number, not a name',
      '"7"',
    ],
    [
      'routes',
      '  - { name: "", match: { path: /b }, upstream: orders }',
      'routes[1].name',
      '""',
      '"" cannot be a name',
    ],
    ['routes', '  - { match: { path: /b }, upstream: orders }', 'routes[1].name', '{ match', '"name" is missing'],
    ['routes', '  - { name: b, match: { path: /b } }', 'routes[1].upstream', '{ name', '"upstream" is missing'],
    ['routes', '  - { name: b, upstream: orders }', 'routes[1].match', '{ name', '"match" is missing'],
    ['routes', '  - orders', 'routes[1]', 'orders', '"orders" is not a map'],
  ],
  keys: [
    [
      'entrypoint',
      'maxConections: 5',
      'entrypoint.maxConections',
      'maxConections',
      '"maxConections" is not a key here',
      'maxConnections',
    ],
    [
      'entrypoint',
      'keepalivetimeout: 5s',
      'entrypoint.keepalivetimeout',
      'keepalive',
      '"keepalivetimeout" is not a key here',
      'keepAliveTimeout',
    ],
    ['upstream', 'target: http://h', 'upstreams.orders.target', 'target:', '"target" is not a key here', 'targets'],
    ['upstream', 'timeouts: { read: 1s }', 'upstreams.orders.timeouts.read', 'read', '"read" is not a key here'],
    ['route', 'ratelimit: {}', 'routes[0].ratelimit', 'ratelimit', '"ratelimit" is not a key here', 'rateLimit'],
    [
      'route',
      'rewrite: { addPrefix: /x }',
      'routes[0].rewrite.addPrefix',
      'addPrefix',
      '"addPrefix" is not a key here',
    ],
    [
      'route',
      'rateLimit: { limit: 5, window: 5s, burst: 5 }',
      'routes[0].rateLimit.burst',
      'burst',
      '"burst" is not a key here',
    ],
    [
      'route',
      'rateLimit: [{ name: a, limit: 5, window: 5s, windw: 5 }]',
      'routes[0].rateLimit[0].windw',
      'windw',
      '"windw" is not a key here',
      'window',
    ],
    ['match', 'path: /a, method: [GET]', 'routes[0].match.method', 'method', '"method" is not a key here', 'methods'],
    ['routes', 'upstream: {}', 'upstream', 'upstream', '"upstream" is not a key here', 'upstreams'],
    ['routes', 'plugins: []', 'plugins', 'plugins', '"plugins" is not a key here'],
  ],
}

describe('a value in gateway.yaml that will not do', () => {
  for (const [subject, rows] of Object.entries(TABLES)) {
    describe(subject, () => {
      for (const [where, added, path, source, problem, nearest] of rows) {
        it(`is reported alone, at its place: ${added.trim()}`, () => {
          const text = gatewayYaml({ [where]: added })
          const errors = problemsIn(text).filter(({ severity }) => severity !== 'warning')
          const [first] = errors
          assert.ok(first)
          const place = placeOf(first, text)
          assert.deepEqual(
            errors.map(error => ({
              path: place.path,
              line: place.line,
              problem: error.problem,
              nearest: error.nearest,
            })),
            [{ path, line: LINES[where], problem, nearest }],
          )
          assert.ok(place.source.startsWith(source), `line and column point at: ${place.source}`)
          assert.ok(first.allowed, 'what is allowed is said')
        })
      }
    })
  }

  const notYet = [
    ['upstream', 'healthCheck: { path: /healthz, interval: 5s }', 'targets would not be checked'],
    ['route', 'auth: { apiKey: { header: x-api-key } }', 'everybody would pass'],
    ['route', 'slo: { availability: 99.9 }', 'no rules would come of it'],
  ] as const
  for (const [where, added, consequence] of notYet) {
    it(`is refused where this version does not act on it: ${added}`, () => {
      const text = gatewayYaml({ [where]: added })
      const key = added.split(':')[0]
      assert.deepEqual(
        problemsIn(text).map(({ problem }) => problem),
        [`"${key}" is part of the file format, but this version does not act on it yet (${consequence}): remove it`],
      )
      assert.equal(placeOf(problemsIn(text)[0]!, text).line, LINES[where])
    })
  }

  it('is never suggested when this version would refuse it', () => {
    const [problem] = problemsIn(gatewayYaml({ route: 'auht: {}' }))
    assert.equal(problem?.nearest, undefined)
    assert.doesNotMatch(problem?.allowed ?? '', /auth/)
  })

  for (const target of ['http://user:hunter2@h', 'http://user:hunter2/@h/p@th', '//:hunter2@h', 'redis://hunter2@h']) {
    it(`is shown without the credentials in it: ${target}`, () => {
      const problems = problemsIn(gatewayYaml({ upstreams: `  b: { targets: ["${target}"] }` }))
      assert.ok(problems.some(({ problem }) => /^".*\/\/…@/.test(problem)))
      assert.doesNotMatch(JSON.stringify(problems), /hunter2/)
    })
  }

  it('is cut short when it is long', () => {
    const [problem] = problemsIn(gatewayYaml({ match: `path: ${'a'.repeat(5_000)}` }))
    assert.ok(problem!.problem.length < 200)
  })
})
