/** The runner itself, on a small folder of tests: what it counts, prints and returns. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const folder = mkdtempSync(join(tmpdir(), 'ringwall-runner-'))
after(() => rmSync(folder, { recursive: true }))

const files = {
  'good.test.ts': `import { test } from 'node:test'; test('one', () => {}); test('two', { skip: 'needs a moon' }, () => {})`,
  'bad.test.ts': `import { suite, test } from 'node:test'
    test('one', () => {})
    suite('outer', () => { test('inner', () => { console.log('said before'); throw new Error('why') }) })`,
  'crash.test.ts': `throw new Error('as it was loaded')`,
  'killed.test.ts': `process.kill(process.pid, 'SIGKILL')`,
  'open.test.ts': `import { test } from 'node:test'; test('one', () => { setInterval(() => {}, 1000) })`,
  'leaves.test.ts': `import { test } from 'node:test'
    import { spawn } from 'node:child_process'
    test('one', () => { spawn('sleep', ['600'], { stdio: 'inherit' }) })`,
  'once.test.ts': `import { test } from 'node:test'
    import { existsSync, writeFileSync } from 'node:fs'
    test('fails the first time', () => {
      if (existsSync('been')) return
      writeFileSync('been', '')
      throw new Error('busy')
    })`,
  'kernel/deep.test.ts': `import { test } from 'node:test'; test('one', () => {})`,
}

writeFiles(folder, Object.keys(files) as (keyof typeof files)[])

function writeFiles(into: string, names: readonly (keyof typeof files)[]): void {
  mkdirSync(join(into, 'test', 'kernel'), { recursive: true })
  copyFileSync(join(import.meta.dirname, 'run.ts'), join(into, 'test', 'run.ts'))
  for (const name of names) writeFileSync(join(into, 'test', name), files[name])
}

function runTests(...patterns: readonly string[]) {
  return runIn(folder, patterns)
}

function runIn(project: string, patterns: readonly string[] = []) {
  // A test run inside a test run would report to the outer one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const runner = join(project, 'test', 'run.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, [runner, ...patterns], {
    encoding: 'utf8',
    env: { ...env, RINGWALL_TEST_IDLE_MS: '1000' },
  })
  return { status, stdout, stderr, lines: stdout.trimEnd().split('\n') }
}

test('all passed: exit code 0, a line for each file, skips with their reasons, counts last', () => {
  const { status, lines } = runTests('good', 'open', 'deep')
  assert.equal(status, 0)
  const shown = lines.map(line => line.replace(/[0-9.]+ s\b/, 'N s'))
  assert.deepEqual(shown.slice(0, 3).sort(), [
    ' ok  test/good.test.ts: 1 passed, 1 skipped (N s)',
    ' ok  test/kernel/deep.test.ts: 1 passed (N s)',
    ' ok  test/open.test.ts: 1 passed (N s)',
  ])
  assert.deepEqual(shown.slice(3), ['skipped: two (needs a moon)', '3 files in N s', '3 passed, 0 failed, 1 skipped'])
})

test('what a file leaves running is ended with it', () => {
  const { status, lines } = runTests('leaves')
  assert.equal(status, 0)
  assert.equal(lines.at(-1), '1 passed, 0 failed')
})

test('a failure: exit code 1, its name with what is around it, its error, what was printed', () => {
  const { status, stdout, lines } = runTests('bad')
  assert.equal(status, 1)
  assert.match(stdout, /^FAIL test\/bad\.test\.ts: 1 passed, 1 FAILED/m)
  assert.match(stdout, /^ {2}outer > inner\n {4}Error: why$/m)
  assert.match(stdout, /said before/)
  assert.equal(lines.at(-1), '1 passed, 1 failed')
})

test('a file that cannot be loaded is a failure', () => {
  const { status, stdout, lines } = runTests('crash')
  assert.equal(status, 1)
  assert.match(stdout, /as it was loaded/)
  assert.match(stdout, /^ {4}its process ended with \d+$/m)
  assert.equal(lines.at(-1), '0 passed, 1 failed')
})

test('a file whose process is killed is a failure, and it is said by what', () => {
  const { status, stdout, lines } = runTests('killed')
  assert.equal(status, 1)
  assert.match(stdout, /^ {4}its process ended with SIGKILL$/m)
  assert.equal(lines.at(-1), '0 passed, 1 failed')
})

test('in a run of all files what fails once is unsteady, what fails twice fails', () => {
  const only = mkdtempSync(join(tmpdir(), 'ringwall-runner-'))
  after(() => rmSync(only, { recursive: true }))
  const runAll = (...names: (keyof typeof files)[]) => {
    rmSync(only, { recursive: true, force: true })
    writeFiles(only, names)
    return runIn(only)
  }

  const once = runAll('once.test.ts', 'good.test.ts')
  assert.equal(once.status, 0, once.stdout)
  assert.match(once.stdout, /^FAIL test\/once\.test\.ts: 0 passed, 1 FAILED/m)
  assert.match(once.stdout, /^Once more, alone:\n ok {2}test\/once\.test\.ts: 1 passed/m)
  assert.match(once.stdout, /^Unsteady .*:\n {2}fails the first time$/m)
  assert.equal(once.lines.at(-1), '2 passed, 0 failed, 1 skipped')

  const both = runAll('once.test.ts', 'bad.test.ts')
  assert.equal(both.status, 1)
  assert.match(both.stdout, /^Failed:\n {2}outer > inner$/m)
  assert.equal(both.lines.at(-1), '2 passed, 1 failed')

  const many = runAll('once.test.ts', 'bad.test.ts', 'crash.test.ts')
  assert.doesNotMatch(many.stdout, /Once more/)
  assert.equal(many.lines.at(-1), '1 passed, 3 failed')
})

test('a run of chosen files runs none again', () => {
  const { status, stdout } = runTests('once')
  assert.equal(status, 1)
  assert.doesNotMatch(stdout, /Once more/)
})

test('a pattern that matches nothing is a failure', () => {
  const { status, stderr, lines } = runTests('nothing-like-it')
  assert.equal(status, 1)
  assert.match(stderr, /No test file matches "nothing-like-it"/)
  assert.equal(lines.at(-1), '0 passed, 1 failed')
})
