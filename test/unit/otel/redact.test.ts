import assert from 'node:assert/strict'
import { redactQuery } from '../../../otel/sdk/redact'

describe('redacting a query', () => {
  for (const [query, redacted] of [
    ['?a=1&b=2', '?a=1&b=2'],
    ['?token=abc', '?token=REDACTED'],
    ['?a=1&X-Amz-Signature=abc&b=2', '?a=1&X-Amz-Signature=REDACTED&b=2'],
    ['?API_KEY=abc&api_key=def', '?API_KEY=REDACTED&api_key=REDACTED'],
    ['?tokens=1&mytoken=2', '?tokens=1&mytoken=2'],
    ['?token', '?token'],
    ['?', '?'],
  ] as const) {
    it(`makes ${redacted} of ${query}`, () => {
      assert.equal(redactQuery(query), redacted)
    })
  }
})
