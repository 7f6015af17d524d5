/**
 * Loads a module at first use. Most processes use a few of the SDK's exporters, instrumentations and detectors: loading
 * all of them would cost a quarter of the start and 20 MB (docs/performance.md#start-up).
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the module's type beside its name
export function load<Module>(name: string): Module {
  // oxlint-disable-next-line typescript/no-require-imports -- telemetry starts before the program, and cannot wait for `import()`
  return require(name) as Module
}
