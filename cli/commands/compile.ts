/** `ringwall compile FILE`: the ruleset a policy file means, on stdout. */
import { compile } from '../../rules-compiler/nft/compile.ts'
import { replaceAll } from '../../rules-compiler/nft/diff.ts'
import { printRuleset } from '../../rules-compiler/nft/print.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { choiceFlag, onlyFile, parseArguments } from '../arguments.ts'
import { type Command, loadPolicy } from '../command.ts'

const usage = `usage: ringwall compile FILE [--format json|text]

Prints the complete nftables ruleset of a policy file (JSON or YAML; "-" reads stdin).
Nothing is loaded, and no privilege is needed.

  --format json   commands for "nft -j -f" as libnftables-json(5) has them (default)
  --format text   nft syntax for "nft -f"

Loading either replaces the table "inet ringwall" in one transaction and touches nothing else. Prefer text by hand:
nft 1.0.6 loses the session timeout that the JSON form carries. "ringwall apply" knows what the host's nft gets wrong.

Exit codes: 0 printed; 2 the file has faults (one line each on stderr, nothing on stdout).
`

const options = { format: { type: 'string' } } as const

export const command: Command = {
  name: 'compile',
  summary: 'print the nftables ruleset of a policy file',
  usage,
  async run(args, io) {
    const { values, positionals } = parseArguments(args, options)
    const format = choiceFlag('format', values.format ?? 'json', ['json', 'text'])
    const ruleset = compile(resolvePolicy(await loadPolicy(onlyFile(positionals), io)))
    const asJson = () => `${JSON.stringify({ nftables: replaceAll(ruleset) }, null, 1)}\n`
    io.stdout.write(format === 'text' ? printRuleset(ruleset) : asJson())
    return 0
  },
}
