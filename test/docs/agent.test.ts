/** docs/agent.md against the agent: flags, log messages, kinds of refusal. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { agentConfig } from '../../agent/config.ts'
import { nftErrorKinds } from '../../agent/nft/errors.ts'
import { command } from '../../cli/commands/agent.ts'
import { flagOf } from '../../common/config/setting.ts'
import { tableUnder } from '../support/markdown.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const page = read('docs/agent.md')

test('every flag of the agent that is no setting is on the page, and no other', () => {
  const settings = ['config', ...Object.keys(agentConfig.settings)].map(flagOf)
  const flags = [...command.usage.matchAll(/^ {2}(--[a-z-]+)/gm)].flatMap(([, flag = '']) =>
    settings.includes(flag) ? [] : [`\`${flag}\``],
  )
  assert.deepEqual(
    tableUnder(page, '## Flags').map(([flag]) => flag),
    flags,
  )
})

test('every message the agent logs is on the page with its level, and no other', () => {
  const logged = new Set<string>()
  for (const file of globSync('{agent/**/*.ts,cli/commands/agent.ts,cli/service-config.ts}', { cwd: root })) {
    for (const [, level, call = ''] of read(file).matchAll(
      /\blog\.(debug|info|warn|error|fatal)\(([\s\S]*?)\n? *\)\n/g,
    )) {
      for (const [, message] of call.matchAll(/(?:^|, |\? |: |,\s+)'([^']{2,})'/g)) logged.add(`${message} (${level})`)
    }
  }
  const described = tableUnder(page, '## Log messages').map(([message, level]) => `${message} (${level})`)
  assert.deepEqual(described.toSorted(), [...logged].sort())
})

test('the page on troubleshooting has every kind of refusal', () => {
  const kinds = tableUnder(read('docs/troubleshooting.md'), '## Changes are refused').flatMap(([kind = '']) =>
    kind.split(', '),
  )
  assert.deepEqual(kinds.toSorted(), [...nftErrorKinds].sort())
})
