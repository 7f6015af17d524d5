/**
 * The script `prepare`: npm runs it after `npm ci` in a clone, and not where the package is installed. Makes sure that scripts run on
 * the Node that came with it. Up to npm 10, which Node 20 brings along, `node_modules/.bin/node` is linked and then removed again
 * together with the packages for other systems, and every script would quietly run on the older Node of the machine. Plain JavaScript
 * that any Node runs.
 */
const { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

const modules = join(__dirname, 'node_modules')
const bin = join(modules, '.bin')
const isWindows = process.platform === 'win32'
const link = join(bin, isWindows ? 'node.cmd' : 'node')
const program = isWindows ? 'bin\\node.exe' : 'bin/node'

// Only the package for this system is there; without one, the machine's own Node has to be new enough.
const folder = existsSync(modules)
  ? readdirSync(modules).find(
      name => /^node-(bin-)?(linux|darwin|win)-/.test(name) && existsSync(join(modules, name, program)),
    )
  : undefined

if (folder !== undefined && !existsSync(link)) {
  mkdirSync(bin, { recursive: true })
  if (isWindows) writeFileSync(link, `@"%~dp0..\\${folder}\\${program}" %*\r\n`)
  else symlinkSync(join('..', folder, program), link)
}
