import assert from 'node:assert/strict'
import { formatProblems, hasErrors } from '../../../src/config/problems'
import type { ConfigProblem } from '../../../src/config/types'

const FULL: ConfigProblem = {
  where: 'gateway.yaml:12:7 routes[0].upstream',
  problem: '"ordres" is not an upstream of this file',
  allowed: 'orders, users',
  nearest: 'orders',
}
const VARIABLE: ConfigProblem = { where: 'PORT', problem: '"x" is not a whole number' }
const WARNING: ConfigProblem = {
  where: 'REDIS_URI',
  problem: 'has no effect',
  nearest: 'REDIS_URL',
  severity: 'warning',
}

describe('the text of configuration problems', () => {
  it('is empty when there are none', () => {
    assert.equal(formatProblems([]), '')
  })

  it('says where, what, what is allowed and what was probably meant, by source', () => {
    assert.equal(
      formatProblems([VARIABLE, FULL, WARNING, { where: 'other.yaml', problem: 'there is no such file' }]),
      `myesi-gateway does not start: 3 problems and 1 warning in its configuration.

Environment
  PORT
    "x" is not a whole number
  REDIS_URI
    warning: has no effect
    did you mean: REDIS_URL

gateway.yaml
  gateway.yaml:12:7 routes[0].upstream
    "ordres" is not an upstream of this file
    allowed: orders, users
    did you mean: orders

other.yaml
    there is no such file

Every variable and key, with its default: docs/configuration.md
`,
    )
  })

  it('says that the gateway starts where there are only warnings', () => {
    const [headline] = formatProblems([WARNING]).split('\n')
    assert.equal(headline, 'myesi-gateway starts, with 1 warning about its configuration.')
  })

  it('names the program that starts or does not', () => {
    assert.match(formatProblems([VARIABLE], 'myesi-incidents'), /^myesi-incidents does not start: 1 problem in/)
    assert.match(formatProblems([WARNING], 'myesi-incidents'), /^myesi-incidents starts, with 1 warning/)
  })

  it('keeps paths of Windows together', () => {
    const where = 'C:\\gateway\\gateway.yaml:1:2 routes'
    assert.match(formatProblems([{ where, problem: 'x' }]), /\n\nC:\\gateway\\gateway\.yaml\n {2}C:/)
  })
})

describe('whether the gateway may start', () => {
  it('is decided by problems that are no warnings', () => {
    assert.equal(hasErrors([]), false)
    assert.equal(hasErrors([WARNING]), false)
    assert.equal(hasErrors([WARNING, VARIABLE]), true)
  })
})
