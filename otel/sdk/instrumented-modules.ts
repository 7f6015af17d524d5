import { hasSubscribers } from 'node:diagnostics_channel'
import { Server } from 'node:http'
import type { Meter } from '@opentelemetry/api'
import { isWrapped } from '@opentelemetry/instrumentation'

/** How each module shows that it is instrumented: by a method that was replaced, or a channel that is listened to. */
const PROOFS: Readonly<Record<string, (exports: LoadedModule) => boolean>> = {
  http: () => isWrapped(Reflect.get(Server.prototype, 'emit')),
  undici: () => hasSubscribers('undici:request:create'),
  express: ({ application }) => isWrapped(application?.['use']),
  ioredis: ({ prototype }) => isWrapped(prototype?.['sendCommand']),
}
/** They are there, or listened to, whether or not anybody loaded them. */
const BUILT_IN: ReadonlySet<string> = new Set(['http', 'undici'])

/** As much of what a module exports as is looked at. */
interface LoadedModule {
  readonly application?: Readonly<Record<string, unknown>>
  readonly prototype?: Readonly<Record<string, unknown>>
}

/**
 * Whether the instrumentations took hold. A module in a version that its instrumentation does not know, or in a second copy,
 * stays without signals, and the SDK says nothing of it: a gateway that is half instrumented looks healthy.
 */
export class InstrumentedModules {
  readonly #expected: readonly string[]

  /** @param expected names of instrumentations, as settings have them */
  constructor(expected: readonly string[]) {
    this.#expected = expected
  }

  /** Modules that are loaded and send no signals. */
  missing(): string[] {
    return [...this.#states()].filter(([, isInstrumented]) => !isInstrumented).map(([name]) => name)
  }

  observe(meter: Meter): void {
    meter
      .createObservableGauge('gateway.telemetry.instrumented', {
        description: '1 where a module sends its signals, 0 where it was loaded and does not',
      })
      .addCallback(result => {
        for (const [name, isInstrumented] of this.#states()) result.observe(Number(isInstrumented), { module: name })
      })
  }

  /** Of what is loaded by now; the rest may still come. */
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
