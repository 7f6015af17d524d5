import { createHash } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { toError } from '../../errors/error-code'
import { readFileBounded, readMistake, UNREADABLE } from '../../config/read-file'
import type { RegistryEntry } from '../define-policy'
import { POLICY_MARK, type DefinedPolicy } from './define-policy'
import { problemWithMiddleware, type Middleware } from './express'
import { toPolicy } from './to-policy'

/** A module of `policies`, with its contents when the configuration was read. */
export interface PolicyFile {
  readonly path: string
  /** SHA-256 of its bytes, hexadecimal, or `UNREADABLE`. */
  readonly sha256: string
}

export interface LoadedPolicies {
  readonly entries: readonly RegistryEntry[]
  readonly files: readonly PolicyFile[]
  /** Problems by index in the list. */
  readonly mistakes: readonly { readonly index: number; readonly problem: string; readonly allowed: string }[]
}

const MODULE = /\.(?:m?ts|m?js)$/
const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)+$/
/** Number of module versions that one process loads. Node never frees a module, so more need a restart. */
const MAX_LOADED = 1_000

/** Modules by path and content: the same content is the same module. Bounded by `MAX_LOADED`. */
const loaded = new Map<string, Promise<object>>()

/**
 * Loads the modules that `policies` of a `gateway.yaml` names. TypeScript is run by Node itself, which strips the types.
 *
 * @param paths paths as written, relative to the folder of `configFile`
 * @param configFile path of the configuration file
 */
export async function loadPolicies(paths: readonly string[], configFile: string): Promise<LoadedPolicies> {
  const entries: RegistryEntry[] = []
  const files: PolicyFile[] = []
  const mistakes: LoadedPolicies['mistakes'][number][] = []
  const names = new Set<string>()
  for (const [index, written] of paths.entries()) {
    const wrong = (problem: string, allowed: string): void => void mistakes.push({ index, problem, allowed })
    const path = resolve(dirname(configFile), written)
    const file = await moduleFile(path)
    if ('problem' in file) {
      wrong(file.problem, file.allowed)
      files.push({ path, sha256: UNREADABLE })
      continue
    }
    files.push(file)
    try {
      const defined = Object.values(await moduleOf(file)).filter(isDefinedPolicy)
      if (defined.length === 0) wrong('exports no policy', 'a module that exports what definePolicy returns')
      for (const definition of new Set(defined)) {
        const problem = problemWith(definition, names)
        names.add(definition.name)
        if (problem === undefined) entries.push(toPolicy(definition))
        else wrong(`defines ${JSON.stringify(definition.name)}, ${problem.text}`, problem.allowed)
      }
    } catch (error) {
      wrong(`cannot be loaded: ${toError(error).message}`, 'a module that Node can load')
    }
  }
  return { entries, files, mistakes }
}

/** Loads the Express middleware that routes of a `gateway.yaml` name; paths as for `loadPolicies`. */
export async function loadMiddleware(
  paths: readonly string[],
  configFile: string,
): Promise<Pick<LoadedPolicies, 'files' | 'mistakes'> & { readonly loaded: ReadonlyMap<string, Middleware> }> {
  const loaded = new Map<string, Middleware>()
  const files: PolicyFile[] = []
  const mistakes: LoadedPolicies['mistakes'][number][] = []
  for (const [index, written] of paths.entries()) {
    if (loaded.has(written)) continue
    const path = resolve(dirname(configFile), written)
    const file = await moduleFile(path)
    if ('problem' in file) {
      mistakes.push({ index, ...file })
      files.push({ path, sha256: UNREADABLE })
      continue
    }
    files.push(file)
    try {
      const module = await moduleOf(file)
      const problem = problemWithMiddleware(module)
      if (problem === undefined) loaded.set(written, (module as { default: Middleware }).default)
      else mistakes.push({ index, problem, allowed: 'a function (request, response, next), or a Router of Express' })
    } catch (error) {
      const problem = `cannot be loaded: ${toError(error).message}`
      mistakes.push({ index, problem, allowed: 'a module that Node can load' })
    }
  }
  return { loaded, files, mistakes }
}

async function moduleFile(path: string): Promise<PolicyFile | { readonly problem: string; readonly allowed: string }> {
  if (!MODULE.test(path)) {
    return { problem: 'is not the name of a module', allowed: 'an ES module: .ts, .mts, .js or .mjs' }
  }
  const bytes = await readFileBounded(path).catch((error: unknown) => readMistake(error, 'a module'))
  if (!Buffer.isBuffer(bytes)) {
    return { problem: bytes.problem, allowed: bytes.allowed ?? 'a module that can be read' }
  }
  return { path, sha256: createHash('sha256').update(bytes).digest('hex') }
}

function moduleOf({ path, sha256 }: PolicyFile): Promise<object> {
  const key = `${path}?sha256=${sha256}`
  let module = loaded.get(key)
  if (module === undefined) {
    if (loaded.size >= MAX_LOADED) throw new Error(`this process has loaded ${MAX_LOADED} modules: restart it`)
    const url = pathToFileURL(path)
    // The hash makes the URL unique per content; otherwise Node would return the cached module.
    url.searchParams.set('sha256', sha256)
    module = import(url.href) as Promise<object>
    loaded.set(key, module)
    // A failed module is loaded again next time: its imports may have been fixed.
    module.catch(() => loaded.delete(key))
  }
  return module
}

function isDefinedPolicy(value: unknown): value is DefinedPolicy {
  return typeof value === 'object' && value !== null && POLICY_MARK in value
}

function problemWith(
  definition: DefinedPolicy,
  names: ReadonlySet<string>,
): { text: string; allowed: string } | undefined {
  const { name, schema, timeoutMs = 1, onFailure = 'closed' } = definition
  if (typeof name !== 'string' || !NAME.test(name))
    return { text: 'which is not a valid name of a policy', allowed: 'lower case with a hyphen, as acme-tenant' }
  if (names.has(name)) return { text: 'as another one does', allowed: 'a name of its own' }
  if (!(schema instanceof z.ZodType) && !('_zod' in (schema as object)))
    return { text: 'whose schema is not a schema', allowed: 'a schema of zod 4; the package exports z' }
  if (typeof definition.create !== 'function')
    return { text: 'which has no create', allowed: 'a function that returns hooks' }
  if (!(timeoutMs > 0 && timeoutMs <= 60_000)) return { text: 'whose timeoutMs is invalid', allowed: '1 to 60000' }
  if (onFailure !== 'closed' && onFailure !== 'open')
    return { text: 'whose onFailure is invalid', allowed: 'closed or open' }
  return undefined
}
