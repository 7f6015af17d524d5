import type { EmbeddedGateway, EmbedOptions } from './embed/create-gateway'

/** What the package `myesi-gateway` exports. Everything else in it may change with every version. */
export { z } from 'zod'
export type { EmbeddedGateway, EmbedOptions } from './embed/create-gateway'
export type { Answered, Attempt, ResponseHead } from './exchange/exchange'
export type { Hooks } from './policies/define-policy'
export { definePolicy, type DefinedPolicy, type PolicyDefinition } from './policies/own/define-policy'
export type { ContextHooks, LogLevel, PolicyContext, Reply, SignalAttributes } from './policies/policy-context'
export { VERSION } from './process/version'

/**
 * Makes a gateway inside another program: a handler for a server of one's own, and a server.
 *
 * @throws Error with every problem of the configuration
 */
export async function createGateway(options: EmbedOptions): Promise<EmbeddedGateway> {
  // Loaded when it is called: a module of policies imports this file too, and needs neither Express nor undici.
  const embed = await import('./embed/create-gateway.js')
  return embed.createGateway(options)
}
