import { readFileSync } from 'node:fs'
import { parseKeySet, type FindKey } from '../../config/values/key-set'
import type { KeySource } from '../../config/values/tokens'
import type { Logger } from '../../telemetry/logger'
import { RemoteKeys } from './remote-keys'

export interface OpenKeys {
  readonly find: FindKey
  close(): void
}

/** @throws Error when it is a file that has changed for the worse since the configuration was checked */
export function openKeys(source: KeySource, log: Logger): OpenKeys {
  if ('url' in source) return new RemoteKeys(source.url, log)
  return keysIn(readFileSync(source.file, 'utf8'))
}

/** Those of a file. @throws Error where it holds none */
export function keysIn(text: string): OpenKeys {
  return { find: parseKeySet(text), close: () => {} }
}
