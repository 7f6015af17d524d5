import { EXIT_USAGE } from '../config/exit-codes'
import { defineCommand, endWithUsage, optionNames, print, suggestion, type Command } from './command'

interface CompletedCommand {
  readonly name: string
  readonly summary: string
  readonly load: () => { readonly command: Command }
}

const SHELLS: Readonly<Record<string, (commands: readonly Words[]) => string>> = { bash, zsh, fish }

const USAGE = `myesi-gateway completion bash|zsh|fish

Prints a script that completes commands, options and file names.

  bash   source <(myesi-gateway completion bash)
  zsh    source <(myesi-gateway completion zsh)
  fish   myesi-gateway completion fish | source

Exit code: 0, ${EXIT_USAGE} for invalid arguments.`

/** @param commands all commands; loaded when the script is generated, for their options */
export function makeCompletionCommand(commands: () => readonly CompletedCommand[]): Command {
  return defineCommand({
    usage: USAGE,
    options: {},
    mostPositionals: 1,
    tooMany: 'One shell at a time.',
    run(_values, [shell]) {
      if (shell === undefined) return endWithUsage('A shell is expected.', USAGE)
      if (!Object.hasOwn(SHELLS, shell))
        return endWithUsage(`No completion for "${shell}"${suggestion(shell, Object.keys(SHELLS))}`, USAGE)
      const others = commands().filter(({ name }) => name !== 'completion')
      const words = others.map(({ name, summary, load }) => ({ name, summary, words: optionNames(load().command) }))
      const own = { name: 'completion', summary: 'prints a completion script', words: Object.keys(SHELLS) }
      print(SHELLS[shell]?.([...words, own]) ?? '')
    },
  })
}

interface Words {
  readonly name: string
  readonly summary: string
  readonly words: readonly string[]
}

function bash(commands: readonly Words[]): string {
  return `_myesi_gateway() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.map(({ name }) => name).join(' ')} --help --version"
  else
    case "\${COMP_WORDS[1]}" in
${commands.map(({ name, words }) => `      ${name}) words="${words.join(' ')}" ;;`).join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _myesi_gateway myesi-gateway`
}

function zsh(commands: readonly Words[]): string {
  return `#compdef myesi-gateway
_myesi_gateway() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${commands.map(({ name, summary }) => `      '${name}:${summary}'`).join('\n')}
    )
    _describe command commands
    return
  fi
  case "$words[2]" in
${commands.map(({ name, words }) => `    ${name}) compadd -- ${words.join(' ')} ;;`).join('\n')}
  esac
  _files
}
compdef _myesi_gateway myesi-gateway`
}

function fish(commands: readonly Words[]): string {
  const lines = commands.flatMap(({ name, summary, words }) => [
    `complete -c myesi-gateway -n __fish_use_subcommand -a ${name} -d '${summary}'`,
    ...words.map(word =>
      word.startsWith('--')
        ? `complete -c myesi-gateway -n '__fish_seen_subcommand_from ${name}' -l ${word.slice(2)}`
        : `complete -c myesi-gateway -n '__fish_seen_subcommand_from ${name}' -f -a ${word}`,
    ),
  ])
  return lines.join('\n')
}
