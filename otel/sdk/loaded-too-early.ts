/**
 * Modules that take their instrumentation while they are loaded. Not `http`: it is changed in place, whenever; and not
 * undici: it is listened to on its diagnostics channels.
 */
const INSTRUMENTED_WHILE_LOADING = ['express', 'ioredis', 'pino']

/** Those that are there already and will stay without signals, without a word from the SDK. */
export function loadedTooEarly(): string[] {
  return INSTRUMENTED_WHILE_LOADING.filter(name => {
    try {
      return require.cache[require.resolve(name)] !== undefined
    } catch {
      // Not installed, so not loaded.
      return false
    }
  })
}
