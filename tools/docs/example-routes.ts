import { isPolicy, type RegistryEntry } from '../../src/policies/define-policy'

const MARKER =
  '  # The routes from here on come from the policies themselves (their "example"), written by npm run schema.\n'

/** The text of `docs/gateway.example.yaml` with the policies' examples appended, in the order of the registry. */
export function withExampleRoutes(yaml: string, entries: readonly RegistryEntry[]): string {
  const end = yaml.indexOf(MARKER)
  if (end === -1)
    throw new Error('docs/gateway.example.yaml has lost the line that says where examples of policies begin')
  const examples = entries.filter(isPolicy).flatMap(({ example }) => example ?? [])
  return yaml.slice(0, end) + MARKER + examples.map(indented).join('')
}

function indented(example: string): string {
  const lines = example.trim().split('\n')
  return `\n${lines.map(line => (line === '' ? '' : `  ${line}`)).join('\n')}\n`
}
