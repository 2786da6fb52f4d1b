/** Ctrl-C on a terminal, while a command waits: what was stored, and what comes next, is said. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { enrolFake } from '../../support/fake-agent.ts'
import { startOperator } from '../../support/operator.ts'
import { ringwallProgram } from '../../support/ringwall.ts'
import { noTerminal, startOnTerminal } from '../../support/terminal.ts'

const operator = await startOperator()
after(() => operator[Symbol.asyncDispose]())

suite('Ctrl-C', { skip: noTerminal }, () => {
  let agentId = ''
  before(async () => {
    await operator.do('sg', 'create', 'sg-wait')
    await operator.do('instance', 'register', 'i-wait')
    const place = ['--instance', 'i-wait', '--device', 'eth0', '--address', '198.18.0.9']
    await operator.do('eni', 'register', 'eni-wait', '--group', 'sg-wait', ...place)
    const { token } = JSON.parse(await operator.do('agent', 'invite', '--instance', 'i-wait', '--json'))
    // It is never there.
    ;({ agentId } = await enrolFake(operator.agentPort, token))
  })

  /** @returns what stood on the terminal, and the exit code */
  async function interrupt(command: string, when: RegExp): Promise<readonly [string, string]> {
    // The shell has the terminal too, and goes on.
    const { child, printed } = startOnTerminal(`trap : INT; "${ringwallProgram}" ${command}; echo "exit $?"`)
    await printed.until(when)
    child.stdin!.write('\u0003')
    await printed.until(/exit \d+/)
    child.stdin!.end()
    await printed.ended
    const [, shown = '', code = ''] = /^([\s\S]*)exit (\d+)\s*$/.exec(printed.text.replaceAll('\r', '')) ?? []
    return [shown, code]
  }

  test('while --wait waits: the change stays, and how to wait on is said', async () => {
    const [shown, code] = await interrupt(
      'rule add sg-wait ingress allow tcp/1 from 198.18.1.0/24 --wait 300',
      /0 of 1 agent/,
    )
    assert.equal(code, '3')
    assert.match(shown, /sg-wait has this rule \(revision \d+\)\.\n/)
    assert.match(shown, new RegExp(`\\nNot in force everywhere: 0 of 1 agent\\. Behind:\\nAGENT .*\\n${agentId} `))
    const [, revision = ''] = /ringwall change show (\d+) --follow\n$/.exec(shown) ?? []
    assert.match((await operator.run(['change', 'show', revision])).stdout, /^objects +group\/sg-wait$/m)
    const { items } = JSON.parse(await operator.do('rule', 'list', 'sg-wait', '--json'))
    assert.equal(items.length, 1)
  })

  test('while change show follows: how far it is', async () => {
    const { revision } = JSON.parse(await operator.do('sg', 'modify', 'sg-wait', '--inner-access', 'drop', '--json'))
    const [shown, code] = await interrupt(`change show ${revision} --follow`, /0 of 1 agent/)
    assert.equal(code, '3')
    assert.match(
      shown,
      new RegExp(`\\nThe change is stored\\. To wait for it: ringwall change show ${revision} --follow\\n$`),
    )
  })

  test('at a question: nothing is done', async () => {
    const [shown, code] = await interrupt('sg delete sg-wait', /\[y\/N\]/)
    assert.equal(code, '1')
    assert.match(shown, /\nNothing was changed\.\n$/)
    await operator.do('sg', 'show', 'sg-wait')
  })
})
