/** `ringwall completion`: what a shell needs to complete commands, flags, ids and names. */
import { type Command, exitBadInput, UsageError } from '../command.ts'
import { candidatesFor } from '../operate/complete.ts'

const usage = `usage: ringwall completion bash|zsh

Prints a script that makes the shell complete commands, flags, ids and names. The daemon is asked for ids and
names, for half a second at most; where it does not answer, the rest is completed all the same.

Examples:
  source <(ringwall completion bash)     in ~/.bashrc
  source <(ringwall completion zsh)      in ~/.zshrc, after compinit
`

const scripts: Readonly<Record<string, string>> = {
  bash: `_ringwall() {
  local IFS=$'\\n'
  COMPREPLY=($(ringwall completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [ "\${#COMPREPLY[@]}" -eq 0 ]; then compopt -o default 2>/dev/null; fi
}
complete -F _ringwall ringwall
`,
  zsh: `_ringwall() {
  local -a candidates
  candidates=("\${(@f)$(ringwall completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  candidates=("\${(@)candidates:#}")
  if (( \${#candidates} )); then compadd -- "\${candidates[@]}"; else _files; fi
}
compdef _ringwall ringwall
`,
}

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
    if (script === undefined) throw new UsageError(`expected bash or zsh${shell === '' ? '' : `, not "${shell}"`}`)
    if (words.length > 0) throw new UsageError(`unexpected argument "${words[0]}"`)
    io.stdout.write(script)
    return 0
  },
}
