#!/usr/bin/env node
/**
 * The command `myesi-gateway`: runs on a Node that is new enough. That is the one it was started with, else the one that the
 * package's optional dependencies bring; else it refuses. Plain JavaScript that any Node runs, or an older one would end with
 * a syntax error instead of this answer.
 */
'use strict'
var childProcess = require('child_process')
var path = require('path')

var description = require('../package.json')
var PROGRAM = path.join(__dirname, '../dist/src/cli/main.js')
/** EX_CONFIG: the same start would fail again. */
var EXIT_CONFIG = 78
var SIGNAL_EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGKILL: 137, SIGTERM: 143 }
/** Set for the process below this one: it must not look for another Node once more. */
var MARK = 'MYESI_GATEWAY_NODE'

if (isNewEnough(process.versions.node)) runHere()
else runOnOwnNode()

/** Compiled code is kept between runs in a folder of the user: it halves the time until a command answers. */
function runHere() {
  var module = require('module')
  var cache = cacheFolder()
  if (module.enableCompileCache && cache !== undefined) module.enableCompileCache(cache)
  require(PROGRAM).main(process.argv.slice(2))
}

function runOnOwnNode() {
  var own = process.env[MARK] === undefined ? ownNode() : undefined
  if (own === undefined) {
    process.stderr.write(
      'myesi-gateway needs Node ' +
        description.engines.node +
        '; this is Node ' +
        process.versions.node +
        ' (' +
        process.execPath +
        '). Install a newer one from https://nodejs.org, or install the package with its optional ' +
        'dependencies (npm install --include=optional), which bring one.\n',
    )
    process.exit(EXIT_CONFIG)
  }
  var env = Object.assign({}, process.env)
  env[MARK] = own
  var child = childProcess.spawn(own, [__filename].concat(process.argv.slice(2)), { env: env, stdio: 'inherit' })
  // Ctrl-C reaches the child too, whose exit then ends this process; a signal of `kill` reaches only this one.
  ;['SIGTERM', 'SIGHUP'].forEach(function pass(signal) {
    process.on(signal, function forward() {
      child.kill(signal)
    })
  })
  process.on('SIGINT', function wait() {})
  child.on('error', function fail(error) {
    process.stderr.write('myesi-gateway: ' + own + ' does not start: ' + error.message + '\n')
    process.exit(EXIT_CONFIG)
  })
  child.on('exit', function end(code, signal) {
    process.exit(code === null ? SIGNAL_EXIT_CODES[signal] || 1 : code)
  })
}

/** Whether a version fits `engines` of package.json, which has `^` and `>=` only. */
function isNewEnough(version) {
  return description.engines.node.split(' || ').some(function fits(range) {
    var wanted = numbers(range.replace(/^\D+/, ''))
    var found = numbers(version)
    if (range.charAt(0) === '^' && found[0] !== wanted[0]) return false
    for (var i = 0; i < 3; i++) if (found[i] !== wanted[i]) return found[i] > wanted[i]
    return true
  })
}

function numbers(version) {
  return version.split('.').map(Number)
}

/** The program in the optional dependency for this system. */
function ownNode() {
  var name = Object.keys(description.optionalDependencies).find(function isForThisSystem(name) {
    var system = process.platform === 'win32' ? 'win' : process.platform
    return name.replace(/^node-(bin-)?/, '') === system + '-' + process.arch
  })
  if (name === undefined) return undefined
  try {
    var folder = path.dirname(require.resolve(name + '/package.json'))
    return path.join(folder, process.platform === 'win32' ? 'bin/node.exe' : 'bin/node')
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    return undefined
  }
}

/** Not the default, a folder in /tmp with a name that everybody knows: another user could have made it. */
function cacheFolder() {
  if (process.env.NODE_COMPILE_CACHE) return process.env.NODE_COMPILE_CACHE
  var base = process.platform === 'win32' ? process.env.LOCALAPPDATA : process.env.XDG_CACHE_HOME
  if (!base && process.env.HOME) base = path.join(process.env.HOME, '.cache')
  return base ? path.join(base, 'myesi-gateway', 'compiled') : undefined
}
