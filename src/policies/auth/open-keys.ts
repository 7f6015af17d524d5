import type { ConfigFiles } from '../../config/config-files'
import { parseKeySet, type FindKey } from '../../config/values/key-set'
import type { KeySource } from '../../config/values/tokens'
import type { Logger } from '../../telemetry/logger'
import { RemoteKeys } from './remote-keys'

export interface OpenKeys {
  readonly find: FindKey
  /** The key set in use, another function after each change of the keys; undefined while there is none. */
  readonly current: FindKey | undefined
  close(): void
}

export function openKeys(source: KeySource, files: ConfigFiles, log: Logger): OpenKeys {
  if ('url' in source) return new RemoteKeys(source.url, log)
  return keysIn(files.read(source.file).toString('utf8'))
}

/** Parses the keys of a file. @throws Error if it contains none */
export function keysIn(text: string): OpenKeys {
  const find = parseKeySet(text)
  return { find, current: find, close: () => {} }
}
