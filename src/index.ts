/** What the package `myesi-gateway` exports. Everything else in it may change with every version. */
export { VERSION } from './process/version'
