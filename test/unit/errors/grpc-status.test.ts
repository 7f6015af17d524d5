import assert from 'node:assert/strict'
import { grpcStatusFields, grpcStatusOfReason, parseGrpcStatus } from '../../../src/errors/grpc-status'
import { REASONS, type Reason } from '../../../src/errors/reasons'

describe('the gRPC status', () => {
  it('is known for every reason that the gateway answers with', () => {
    const unknown = (Object.keys(REASONS) as Reason[])
      .filter(reason => REASONS[reason].outcome !== 'client_closed')
      .filter(reason => grpcStatusOfReason(reason) === 'UNKNOWN')
    // Both belong to HTTP/1.1.
    assert.deepEqual(unknown, ['expectation_failed', 'version_not_supported'])
  })

  it('of a failure of this kind tells a client whether another attempt makes sense', () => {
    for (const [reason, status] of [
      ['unauthenticated', 'UNAUTHENTICATED'],
      ['forbidden', 'PERMISSION_DENIED'],
      ['no_route', 'UNIMPLEMENTED'],
      ['limited', 'RESOURCE_EXHAUSTED'],
      ['overloaded', 'UNAVAILABLE'],
      ['connect_timeout', 'UNAVAILABLE'],
      ['response_timeout', 'DEADLINE_EXCEEDED'],
      ['bad_response', 'INTERNAL'],
    ] as const) {
      assert.equal(grpcStatusOfReason(reason), status, reason)
    }
  })

  it('is read from its number', () => {
    assert.deepEqual(['0', '5', '16', '17', 'x', ''].map(parseGrpcStatus), [
      'OK',
      'NOT_FOUND',
      'UNAUTHENTICATED',
      'UNKNOWN',
      'UNKNOWN',
      'UNKNOWN',
    ])
  })

  it('is written with its message percent-encoded and the time to wait', () => {
    const fields = grpcStatusFields('UNAVAILABLE', '50 % ü\n', ['Retry-After', '3', 'Content-Type', 'text/plain'])
    assert.deepEqual(fields, [
      'grpc-status',
      '14',
      'grpc-message',
      '50 %25 %C3%BC%0A',
      'retry-after',
      '3',
      'grpc-retry-pushback-ms',
      '3000',
    ])
  })
})
