import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gatewayArguments } from '../../../src/process/gateway-command'

/** Compiled, this file is dist/test/unit/gateway-command.test.js. */
const DOCKERFILE = resolve(__dirname, '../../../../Dockerfile')

describe('the command that starts the gateway', () => {
  it('is the same in the image', () => {
    const [, command = '[]'] = /^CMD (\[.*\])$/m.exec(readFileSync(DOCKERFILE, 'utf8')) ?? []
    const [program, ...args] = JSON.parse(command) as string[]
    assert.deepEqual([program, args.map(arg => arg.replace(/^\.\//, ''))], ['node', gatewayArguments('dist')])
  })

  it('has further arguments before the program', () => {
    assert.deepEqual(gatewayArguments('dist', ['--inspect']).slice(-2), ['--inspect', 'dist/src/main.js'])
  })
})
