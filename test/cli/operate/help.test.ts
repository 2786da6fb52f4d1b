/** The help of every noun and verb, and what it promises of flags and words. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { listedCommands } from '../../../cli/command-list.ts'
import { agentNoun } from '../../../cli/commands/operate-agents.ts'
import type { NounCommand } from '../../../cli/operate/noun-command.ts'
import type { NounGroup } from '../../../cli/operate/noun-group.ts'
import { flagsOf, parseVerb } from '../../../cli/operate/parse.ts'
import { verb } from '../../../cli/operate/verb.ts'
import { runInProcess } from '../../support/command-line.ts'

const loaded = await Promise.all([...listedCommands.values()].map(({ load }) => load()))
const nouns = [
  ...loaded.map(({ command }) => command as NounCommand).filter(({ noun }) => noun !== undefined),
  ...loaded.flatMap(({ command }) => (command as Partial<NounGroup>).nouns ?? []),
  agentNoun,
]

test('there are nouns', () => assert.ok(nouns.length >= 14))

for (const command of nouns) {
  const { noun } = command
  suite(`ringwall ${noun.name}`, () => {
    const isOne = noun.verbs[0]?.name === ''

    test('its help names every verb', async () => {
      const { stdout } = await runInProcess(command, ['--help'])
      assert.equal(stdout, command.usage)
      if (isOne) return
      for (const { name } of noun.verbs) assert.match(stdout, new RegExp(`^  ${name}( |$)`, 'm'))
    })

    for (const verb of noun.verbs) {
      test(`the help of ${verb.name || noun.name} names every word and flag, and fits a terminal`, async () => {
        const { exitCode, stdout, stderr } = await runInProcess(command, [...(isOne ? [] : [verb.name]), '--help'])
        assert.deepEqual([exitCode, stderr], [0, ''])
        const place = [noun.name, verb.name].filter(Boolean).join(' ')
        assert.ok(stdout.startsWith(`usage: ringwall ${place}`), stdout)
        for (const { name, choices } of verb.words) {
          const shown = choices?.join('|') ?? name
          assert.ok(
            stdout.split('\n').some(line => line.replace(/[[\]…]/g, '').startsWith(`  ${shown} `)),
            `${place}: ${name}`,
          )
        }
        for (const flag of Object.keys(flagsOf(verb))) assert.match(stdout, new RegExp(`^  --${flag}( |$)`, 'm'))
        for (const line of stdout.split('\n')) assert.ok(line.length <= 120, line)
      })

      test(`${verb.name || noun.name} refuses a flag that it does not know`, async () => {
        const { exitCode, stdout, stderr } = await runInProcess(command, [
          ...(isOne ? [] : [verb.name]),
          '--no-such-flag',
        ])
        assert.deepEqual([exitCode, stdout], [2, ''])
        assert.match(stderr, /unknown flag "--no-such-flag"/)
      })

      for (const example of verb.examples ?? []) {
        test(`example: ${example}`, () => {
          const words = example.split(' ')
          const place = ['ringwall', ...noun.name.split(' '), ...(isOne ? [] : [verb.name])]
          assert.deepEqual(words.slice(0, place.length), place)
          const known = Object.keys(flagsOf(verb))
          for (const word of words.filter(each => each.startsWith('--'))) assert.ok(known.includes(word.slice(2)), word)
        })
      }
    }
  })
}

for (const [noun, args, message] of [
  ['settings', ['set', '--hold-time', '300d'], 'ringwall settings set: --hold-time is "300d", expected 1d or less\n'],
  ['agent', ['invite', '--expires', '169h'], 'ringwall agent invite: --expires is "169h", expected 7d or less\n'],
  [
    'token',
    ['create', 'x', '--expires', '2'],
    'ringwall token create: --expires is "2", expected a duration such as 90s, 15m, 2h or 7d\n',
  ],
  ['ram', ['role', 'create', 'x', '--sessions', '90m'], null],
  [
    'ram',
    ['role', 'create', 'x', '--sessions', '59m'],
    'ringwall ram role create: --sessions is "59m", expected 1h or more\n',
  ],
] as const) {
  test(`ringwall ${noun} ${args.join(' ')}`, async () => {
    const { command } = await listedCommands.get(noun)!.load()
    const { exitCode, stderr } = await runInProcess(command, args)
    assert.equal(exitCode, 2)
    assert.ok(stderr.startsWith(message ?? 'ringwall ram role create: missing --trust'), stderr)
  })
}

for (const [args, message] of [
  [['show'], 'ringwall sg show: missing GROUP, id or name of the security group'],
  [['show', 'a', 'b'], 'ringwall sg show: unexpected argument "b"'],
  [['show', ''], 'ringwall sg show: GROUP is empty, expected id or name of the security group'],
  [[], 'ringwall sg: missing VERB, expected list, show, create, '],
  [['--json'], 'ringwall sg: "--json" before the verb; flags go behind it, as in: ringwall sg list --json'],
  [['shov'], 'ringwall sg: unknown verb "shov"; did you mean "show"?'],
  [['xyzzy'], 'ringwall sg: unknown verb "xyzzy"; expected list, show, create, '],
  [['create', 'web'], 'ringwall sg create: "web" is no id of a security group, expected sg- and letters'],
  [['create', '--tag', 'x'], 'ringwall sg create: --tag is "x", expected KEY=VALUE'],
  [['create', '--type', 'normal'], 'ringwall sg create: --type is "normal", expected basic, advanced'],
  [['create', '--wait', '0'], 'ringwall sg create: --wait is "0", expected a number from 1 to 300'],
  [['create', '--wait=x'], 'ringwall sg create: --wait is "x", expected a number from 1 to 300'],
  [['create', '--name'], 'ringwall sg create: --name has no value'],
  [
    ['create', '--name', '--json'],
    'ringwall sg create: --name has no value; one that begins with "-" is written --name=--json',
  ],
  [['create', '--json=yes'], 'ringwall sg create: --json takes no value'],
  [['create', '--nam', 'x'], 'ringwall sg create: unknown flag "--nam"; did you mean "--name"?'],
  [['create', '--name=a', '-x'], 'ringwall sg create: unknown flag "-x"\n'],
  [['create', '--constructor'], 'ringwall sg create: unknown flag "--constructor"\n'],
] as const) {
  test(`ringwall sg ${args.join(' ')}`, async () => {
    const { command } = await listedCommands.get('sg')!.load()
    const { exitCode, stdout, stderr } = await runInProcess(command, args)
    assert.deepEqual([exitCode, stdout], [2, ''])
    assert.ok(stderr.startsWith(message), stderr)
    assert.match(stderr, /\nSee "ringwall sg( \w+)? --help"\.\n$/)
  })
}

test('a day is one of here, as the times that are shown', () => {
  const { TZ } = process.env
  const moments = verb({
    name: '',
    summary: '',
    effect: 'looks',
    words: [],
    flags: { since: { takes: 'moment', value: 'TIME', help: '' } },
    run: () => Promise.resolve(null),
  })
  try {
    process.env.TZ = 'Asia/Tokyo'
    for (const [text, expected] of [
      ['2026-11-27', '2026-11-26T15:00:00.000Z'],
      ['2026-11-27 05:40', '2026-11-26T20:40:00.000Z'],
      ['2026-11-26T20:40Z', '2026-11-26T20:40:00.000Z'],
    ] as const) {
      assert.equal(parseVerb(moments, ['--since', text]).flags.since, expected)
    }
  } finally {
    if (TZ === undefined) delete process.env.TZ
    else process.env.TZ = TZ
  }
})

test('a noun that is one verb needs no name of it', async () => {
  const { command } = await listedCommands.get('limits')!.load()
  const { exitCode, stderr } = await runInProcess(command, ['extra'])
  assert.deepEqual([exitCode, stderr.split('\n')[0]], [2, 'ringwall limits: unexpected argument "extra"'])
})

test("the help of an operation on agents is its own, that of the host the host's", async () => {
  const { command } = await listedCommands.get('agent')!.load()
  assert.match((await runInProcess(command, ['invite', '--help'])).stdout, /^usage: ringwall agent invite \[FLAGS\]/)
  for (const args of [['--help'], ['join', '--help'], ['xyzzy', '--help']]) {
    assert.equal((await runInProcess(command, args)).stdout, command.usage)
  }
})
