import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { NftError } from '../../agent/nft/errors.ts'
import { createLogger } from '../../common/log.ts'

describe('a log line', () => {
  test('is JSON with level, time, service and message', () => {
    const [line] = logged(logger => logger.info({ eni: 'eni-1' }, 'in force'))
    const { time, ...rest } = line!
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.deepEqual(rest, { level: 'info', service: 'ringwall-agent', eni: 'eni-1', msg: 'in force' })
  })

  test('of an error has what it says and what caused it, and no stack', () => {
    const cause = Object.assign(new Error('spawn nft ENOENT'), { code: 'ENOENT' })
    const error = new NftError('busy', 'delete set', 'Error: Device or resource busy\n', { cause })
    const [line] = logged(logger => logger.error({ error }, 'refused'))
    assert.deepEqual(line?.error, {
      name: 'NftError',
      kind: 'busy',
      command: 'delete set',
      stderr: 'Error: Device or resource busy\n',
      message: 'nft refused "delete set": Device or resource busy (busy)',
      cause: { name: 'Error', message: 'spawn nft ENOENT', code: 'ENOENT' },
    })
  })

  test('below the level is left out', () => {
    assert.deepEqual(
      logged(logger => logger.debug('too much')),
      [],
    )
  })
})

function logged(write: (logger: ReturnType<typeof createLogger>) => void): readonly Record<string, unknown>[] {
  const lines: string[] = []
  write(createLogger('ringwall-agent', 'info', { write: line => lines.push(line) }))
  return lines.map(line => JSON.parse(line))
}

describe('a log that cannot be written', () => {
  const script = `
    const { createLogger } = await import(${JSON.stringify(new URL('../../common/log.ts', import.meta.url).href)})
    const logger = createLogger('test', 'info')
    for (let line = 0; line < 3; line += 1) logger.info('a line')
    process.stderr.write('goes on')`

  for (const [name, redirection] of [
    ['on a full disk', '> /dev/full'],
    ['that nobody reads any more', '| true'],
    ['that is closed', '>&-'],
  ]) {
    test(`${name} does not hold up or end the process`, () => {
      const { stderr } = spawnSync(
        'sh',
        ['-c', `"$0" --input-type=module -e "$1" ${redirection}`, process.execPath, script],
        {
          encoding: 'utf8',
          timeout: 20_000,
        },
      )
      assert.equal(stderr, 'goes on')
    })
  }
})
