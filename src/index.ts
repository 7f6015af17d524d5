/** What the package `myesi-gateway` exports. Everything else in it may change with every version. */
export { z } from 'zod'
export { definePolicy, type PolicyDefinition } from './policies/own/define-policy'
export type { ContextHooks, PolicyContext, Reply } from './policies/policy-context'
export { VERSION } from './process/version'
