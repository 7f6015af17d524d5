import { hasSubscribers } from 'node:diagnostics_channel'
import { Server } from 'node:http'
import type { Meter } from '@opentelemetry/api'
import { isWrapped } from '@opentelemetry/instrumentation'

/** How to check that a module is instrumented: a method was replaced, or a channel has subscribers. */
const PROOFS: Readonly<Record<string, (exports: LoadedModule) => boolean>> = {
  http: () => isWrapped(Reflect.get(Server.prototype, 'emit')),
  undici: () => hasSubscribers('undici:request:create'),
  express: ({ application }) => isWrapped(application?.['use']),
  ioredis: ({ prototype }) => isWrapped(prototype?.['sendCommand']),
}
/** Modules that are always loaded. */
const BUILT_IN: ReadonlySet<string> = new Set(['http', 'undici'])

/** The part of a module's exports that is checked. */
interface LoadedModule {
  readonly application?: Readonly<Record<string, unknown>>
  readonly prototype?: Readonly<Record<string, unknown>>
}

/**
 * Checks whether the instrumentations took effect. A module in an unsupported version, or a second copy of it, produces
 * no signals and the SDK does not report it: a half-instrumented gateway looks healthy.
 */
export class InstrumentedModules {
  readonly #expected: readonly string[]

  /** @param expected names of instrumentations, as in the settings */
  constructor(expected: readonly string[]) {
    this.#expected = expected
  }

  /** Modules that are loaded and not instrumented. */
  missing(): string[] {
    return [...this.#states()].filter(([, isInstrumented]) => !isInstrumented).map(([name]) => name)
  }

  observe(meter: Meter): void {
    meter
      .createObservableGauge('gateway.telemetry.instrumented', {
        description: '1 if a module is instrumented, 0 if it was loaded without instrumentation',
      })
      .addCallback(result => {
        for (const [name, isInstrumented] of this.#states()) result.observe(Number(isInstrumented), { module: name })
      })
  }

  /** The state of the modules loaded so far; the others may load later. */
  *#states(): Iterable<readonly [string, boolean]> {
    for (const name of this.#expected) {
      const proof = PROOFS[name]
      const exports = BUILT_IN.has(name) ? {} : loaded(name)
      if (proof && exports) yield [name, proof(exports)]
    }
  }
}

function loaded(name: string): LoadedModule | undefined {
  try {
    return require.cache[require.resolve(name)]?.exports as LoadedModule | undefined
  } catch {
    // Not installed, so not loaded.
    return undefined
  }
}
