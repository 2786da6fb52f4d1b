/**
 * Runs the tests: one line a file, the errors of what failed, the names of what was skipped and why, and the counts
 * as the last line, `412 passed, 0 failed, 3 skipped`. Exit code 0 only if nothing failed.
 *
 * Usage: test/run.ts [PATTERN…]  only files whose path contains one of the patterns
 *
 * In a run of all files, up to two that failed run once more, with nothing beside them. What passes then is named as
 * unsteady: docs/decisions/0013-unsteady-tests.md.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { inspect } from 'node:util'

const projectFolder = `${import.meta.dirname}/..`
/** Longer where the machine is emulated: support/slowness.ts. This file stands alone. */
const testTimeoutMs = 120_000 * Number(process.env.RINGWALL_TEST_SLOWNESS ?? 1)

/**
 * A test that leaves a timer or a socket behind must not hold up the run. Node's --test-force-exit would do it, and
 * loses the last results with it: it does not wait until they have been written. What is cleaned up after the tests has
 * this time too: a host with systemd takes some seconds to go.
 */
const idleMs = Number(process.env.RINGWALL_TEST_IDLE_MS ?? 12_000)
/** Ends what a test has started and left, too: it holds this run's output open, which is waited for. */
const endFile = `data:text/javascript,${encodeURIComponent(`
  import { readFileSync } from 'node:fs'
  import { after } from 'node:test'
  after(() => void setTimeout(() => process.exit(), ${idleMs}).unref())
  process.on('exit', () => {
    for (const pid of readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').split(' ').filter(Boolean)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {}
    }
  })
`)}`

/** Each test as it ends, for a machine so slow that one would wonder: RINGWALL_TEST_PROGRESS=1. */
const showsProgress = process.env.RINGWALL_TEST_PROGRESS === '1'

/** Twice what two cores can do: those that take long mostly wait, for the kernel or for time to pass. */
const filesAtOnce = 4
/** More than these have not met a busy machine: something is broken. */
const mostUnsteadyFiles = 2
/** Where the files are that take longest. They begin first: one that begins last would be waited for alone. */
const longest = ['test/coexistence/', 'test/e2e/', 'test/kernel/', 'test/systemd/']

interface FileResult {
  /** Names of the test that runs and of those around it, outermost first. */
  readonly running: string[]
  passed: number
  readonly failures: string[]
  /** What failed beside other files, and not alone. */
  unsteady: readonly string[]
  readonly skips: string[]
  /** What the file and its tests printed; shown only where something failed. */
  output: string
}

process.env.RINGWALL_LAB_ONLY = '1'
// What this machine's own services are set to is nothing to tests.
for (const service of ['AGENT', 'DAEMON']) process.env[`RINGWALL_${service}_CONFIG`] = 'none'
process.chdir(projectFolder)
const patterns = process.argv.slice(2)
const files = selectFiles(patterns)
const started = performance.now()
process.env.RINGWALL_TEST_PROGRAM ??= makeProgram()
const results = await runFiles(files, filesAtOnce)
if (patterns.length === 0) await runAgain(results)
process.exitCode = report([...results.values()])

function selectFiles(wanted: readonly string[]): string[] {
  const all = globSync('test/**/*.test.ts').sort()
  const chosen = all.filter(file => wanted.length === 0 || wanted.some(pattern => file.includes(pattern)))
  // node:test calls a run without any test a success.
  if (chosen.length === 0) {
    console.error(
      `No test file matches "${wanted.join(' ')}": expected part of a path like ${all[0] ?? 'test/**/*.test.ts'}`,
    )
    console.log('0 passed, 1 failed')
    process.exit(1)
  }
  const isLong = (file: string) => longest.some(folder => file.startsWith(folder))
  return [...chosen.filter(isLong), ...chosen.filter(file => !isLong(file))]
}

/** The path of the `ringwall` that tests start. */
function makeProgram(): string {
  const sources = resolve('ringwall')
  // A machine that runs tests only has no bundler: scripts/vm.sh.
  if (!existsSync('test/support/program.ts') || !existsSync('node_modules/@esbuild')) return sources
  const { stdout, status } = spawnSync(process.execPath, ['test/support/program.ts'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status === 0) return stdout.trim()
  console.error('The program cannot be bundled, see above: tests start it from the sources')
  return sources
}

/** By the path of the file; by the empty path what could not be told to be of one. */
async function runFiles(chosen: readonly string[], concurrency: number): Promise<Map<string, FileResult>> {
  const byFile = new Map<string, FileResult>()
  for (const file of chosen) byFile.set(file, emptyResult())
  const resultOf = (file: string | undefined) => byFile.get(relative('.', file ?? '')) ?? strayResult(byFile)
  const unfinished = new Set(chosen)
  const events = run({
    files: [...chosen],
    concurrency,
    timeout: testTimeoutMs,
    execArgv: [`--test-timeout=${testTimeoutMs}`, `--import=${endFile}`],
  })
  for await (const event of events) {
    if (showsProgress && (event.type === 'test:pass' || event.type === 'test:fail')) {
      console.log(`  ${event.type === 'test:pass' ? 'ok' : 'FAILED'}: ${event.data.name}`)
    }
    if (event.type === 'test:start')
      resultOf(event.data.file).running.splice(event.data.nesting, Infinity, event.data.name)
    else if (event.type === 'test:pass') notePass(resultOf(event.data.file), event.data)
    else if (event.type === 'test:fail') noteFailure(resultOf(event.data.file), event.data)
    else if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      resultOf(event.data.file).output += event.data.message
    } else if (event.type === 'test:summary' && event.data.file !== undefined) {
      unfinished.delete(relative('.', event.data.file))
      printFile(relative('.', event.data.file), resultOf(event.data.file), event.data.duration_ms)
    }
  }
  // A file that crashes as it is loaded has no summary.
  for (const file of unfinished) printFile(file, resultOf(file), 0)
  // Tests that stand in a file which several test files share.
  const stray = byFile.get('')
  if (stray !== undefined) printFile('tests of shared files', stray, 0)
  return byFile
}

async function runAgain(byFile: Map<string, FileResult>): Promise<void> {
  const failed = [...byFile].filter(([, { failures }]) => failures.length > 0).map(([file]) => file)
  if (failed.length === 0 || failed.length > mostUnsteadyFiles || failed.includes('')) return
  console.log('Once more, alone:')
  for (const [file, again] of await runFiles(failed, 1)) {
    if (again.failures.length > 0) continue
    again.unsteady = byFile.get(file)?.failures ?? []
    byFile.set(file, again)
  }
}

function emptyResult(): FileResult {
  return { running: [], passed: 0, failures: [], unsteady: [], skips: [], output: '' }
}

/** Where an event names no file of ours, it must still count. */
function strayResult(byFile: Map<string, FileResult>): FileResult {
  const result = byFile.get('') ?? emptyResult()
  byFile.set('', result)
  return result
}

interface TestEnd {
  readonly name: string
  readonly nesting: number
  readonly skip?: string | boolean
  readonly details: { readonly type?: string; readonly error?: Failure }
}

/** Of a file whose process failed: how that ended. */
type Failure = Error & { readonly failureType?: string; readonly exitCode?: number; readonly signal?: string | null }

/** The name with those of the tests and suites around it. */
function fullName(result: FileResult, { name, nesting }: TestEnd): string {
  return [...result.running.slice(0, nesting), name].join(' > ')
}

function notePass(result: FileResult, test: TestEnd): void {
  if (test.skip !== undefined && test.skip !== false) {
    result.skips.push(
      `${fullName(result, test)} (${test.skip === true || test.skip === '' ? 'no reason given' : test.skip})`,
    )
  } else if (test.details.type !== 'suite') {
    result.passed += 1
  }
}

function noteFailure(result: FileResult, test: TestEnd): void {
  const { error } = test.details
  // The failed subtest was noted itself.
  if (error?.failureType === 'subtestsFailed') return
  const lines = inspect(error?.cause ?? error).split('\n')
  const ours = lines.filter(line => !/^ +at .*\(?node:/.test(line))
  if (error?.exitCode !== undefined) ours.push(`its process ended with ${error.signal ?? error.exitCode}`)
  result.failures.push([fullName(result, test), ...ours.map(line => `    ${line}`)].join('\n'))
}

function printFile(file: string, { passed, failures, skips, output }: FileResult, durationMs: number): void {
  const skipped = skips.length > 0 ? `, ${skips.length} skipped` : ''
  const counts = `${passed} passed${failures.length > 0 ? `, ${failures.length} FAILED` : ''}${skipped}`
  console.log(`${failures.length > 0 ? 'FAIL' : ' ok '} ${file}: ${counts} (${(durationMs / 1000).toFixed(1)} s)`)
  if (failures.length === 0) return
  for (const failure of failures) console.log(`  ${failure}`)
  if (output !== '') console.log(`  it printed:\n${output.replace(/^/gm, '    ')}`)
}

function report(fileResults: readonly FileResult[]): number {
  const passed = fileResults.reduce((sum, result) => sum + result.passed, 0)
  const failures = fileResults.flatMap(result => result.failures)
  const skips = fileResults.flatMap(result => result.skips)
  for (const skip of skips) console.log(`skipped: ${skip}`)
  printNames(
    'Unsteady (passed when run again alone; it waits for the wrong thing, or the code does: npm run test:shake):',
    fileResults.flatMap(result => result.unsteady),
  )
  printNames('Failed:', failures)
  console.log(`${files.length} files in ${((performance.now() - started) / 1000).toFixed(1)} s`)
  // Nothing passed means nothing was tested.
  const untested = passed === 0 && failures.length === 0 && skips.length === 0
  console.log(`${passed} passed, ${failures.length} failed${skips.length > 0 ? `, ${skips.length} skipped` : ''}`)
  return failures.length > 0 || untested ? 1 : 0
}

function printNames(heading: string, failures: readonly string[]): void {
  if (failures.length > 0) console.log(heading)
  for (const failure of failures) console.log(`  ${failure.split('\n')[0]}`)
}
