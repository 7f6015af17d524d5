import assert from 'node:assert/strict'
import { createBase64Decoder, grpcTimeout, grpcWebTrailers, parseGrpcTimeout } from '../../../src/exchange/grpc-call'

describe('grpc-timeout', () => {
  for (const [written, ms] of [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['250m', 250],
    ['500u', 0.5],
    ['99999999m', 99_999_999],
    // Longer than Node's timers: no deadline.
    ['99999999H', undefined],
    ['123456789m', undefined],
    ['5', undefined],
    ['-1S', undefined],
    ['1.5S', undefined],
    ['', undefined],
  ] as const) {
    it(`of "${written}" is ${ms === undefined ? 'none' : `${ms} ms`}`, () => {
      assert.equal(parseGrpcTimeout(written), ms)
    })
  }

  it('is written with at most eight digits and never as 0', () => {
    assert.deepEqual([grpcTimeout(0.2), grpcTimeout(1_500.4), grpcTimeout(200_000_000)], ['1m', '1501m', '200000S'])
  })
})

describe('gRPC-Web', () => {
  it('decodes base64 however it is cut and padded', () => {
    const text = ['AAAAAAE=', 'eA==', 'YWJj'].join('')
    for (let size = 1; size <= text.length; size++) {
      const decode = createBase64Decoder()
      const parts: Buffer[] = []
      for (let at = 0; at < text.length; at += size) parts.push(decode(Buffer.from(text.slice(at, at + size))))
      assert.equal(Buffer.concat(parts).toString('latin1'), '\0\0\0\0\x01xabc')
    }
  })

  it('writes trailers as a frame with flag and length', () => {
    const frame = grpcWebTrailers([['Grpc-Status', '0']])
    assert.equal(frame.toString('latin1'), '\x80\0\0\0\x10grpc-status: 0\r\n')
  })
})
