import assert from 'node:assert/strict'
import { pathShape } from '../../../../src/observe/samples/path-shape'
import { sizeClass } from '../../../../src/observe/samples/request-sample'
import { userAgentFamily } from '../../../../src/observe/samples/user-agent'

describe('the shape of a path', () => {
  for (const [path, template, shape] of [
    ['/users/17/orders', '/users/:id', '/users/{2-3 digits}/orders'],
    ['/users/alice', '/users/:name', '/users/{word, 4-6}'],
    ['/users/0b8e2e0e-9a6a-4f0e-8a39-0d6a7e6f0001', '/users', '/users/{uuid}'],
    ['/files/deadbeef00', '/files', '/files/{hex}'],
    ['/files/report-2024.pdf', '/files', '/files/{text, 13-24}'],
    ['/a/b/c/d/e/f', '/a', '/a/b/c/d/e/…'],
    ['/orders/broken', '/orders', '/orders/broken'],
    ['/orders/', '/orders', '/orders/'],
  ] as const) {
    it(`of ${path} on ${template} is ${shape}`, () => assert.equal(pathShape(path, template), shape))
  }
})

describe('the size class of a body', () => {
  for (const [length, isChunked, expected] of [
    [undefined, false, 'none'],
    ['0', false, 'none'],
    ['nonsense', false, 'none'],
    ['1', false, '1-4 B'],
    ['1023', false, '256-1024 B'],
    ['1024', false, '1-4 KiB'],
    ['5000000', false, '4-16 MiB'],
    [undefined, true, 'chunked'],
  ] as const) {
    it(`of ${length}${isChunked ? ' in chunks' : ''} is ${expected}`, () => {
      assert.equal(sizeClass(length, isChunked), expected)
    })
  }
})

describe('the family of a user agent', () => {
  for (const [userAgent, family] of [
    [undefined, 'none'],
    ['curl/8.5.0', 'curl 8'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox'],
    ['Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/138.0.0.0 Mobile Safari/537.36', 'Chrome mobile'],
    ['Mozilla/5.0 AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0', 'Edge'],
    ['MyApp', 'MyApp'],
    ['(nothing)', 'other'],
  ] as const) {
    it(`${userAgent} is ${family}`, () => assert.equal(userAgentFamily(userAgent), family))
  }
})
