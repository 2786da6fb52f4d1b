/** `ringwall completion`: what a shell needs to complete commands, flags, ids and names. */
import { type Command, exitBadInput, UsageError } from '../command.ts'
import { candidatesFor } from '../operate/complete.ts'

const usage = `usage: ringwall completion bash|zsh|fish

Prints a script that makes the shell complete commands, flags, ids and names. The daemon is asked for ids and
names, for half a second at most; where it does not answer, the rest is completed all the same.

Examples:
  source <(ringwall completion bash)     in ~/.bashrc
  source <(ringwall completion zsh)      in ~/.zshrc, after compinit
  ringwall completion fish | source      in ~/.config/fish/config.fish
`

const scripts: Readonly<Record<string, string>> = {
  bash: `_ringwall() {
  local IFS=$'\\n'
  COMPREPLY=($(ringwall completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [ "\${#COMPREPLY[@]}" -eq 0 ]; then compopt -o default 2>/dev/null; fi
  case \${COMPREPLY[0]-} in */) compopt -o nospace 2>/dev/null ;; esac
}
complete -F _ringwall ringwall
`,
  zsh: `_ringwall() {
  local -a candidates
  candidates=("\${(@f)$(ringwall completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  candidates=("\${(@)candidates:#}")
  if (( \${#candidates} == 0 )); then _files; return; fi
  compadd -S '' -- "\${(@M)candidates:#*/}"
  compadd -- "\${(@)candidates:#*/}"
}
compdef _ringwall ringwall
`,
  fish: `function __fish_ringwall
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  set -l candidates (ringwall completion words -- $words[2..-1] "$typed" 2>/dev/null)
  if test (count $candidates) -gt 0
    printf '%s\\n' $candidates
  else
    __fish_complete_path "$typed"
  end
end
complete -c ringwall -f -a '(__fish_ringwall)'
`,
}

/** For files that a shell loads by itself, when somebody first completes the command. */
export const completionScripts = scripts

export const command: Command = {
  name: 'completion',
  summary: 'make a shell complete commands, ids and names',
  usage,
  async run([shell = '', ...words], io) {
    if (shell === 'words') {
      // What a shell asks for each time somebody presses Tab: whatever goes wrong, it must not show.
      const candidates = await candidatesFor(words[0] === '--' ? words.slice(1) : words, process.env).catch(() => null)
      for (const candidate of candidates ?? []) io.stdout.write(`${candidate}\n`)
      return candidates === null ? exitBadInput : 0
    }
    const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
    if (script === undefined)
      throw new UsageError(`expected bash, zsh or fish${shell === '' ? '' : `, not "${shell}"`}`)
    if (words.length > 0) throw new UsageError(`unexpected argument "${words[0]}"`)
    io.stdout.write(script)
    return 0
  },
}
