/**
 * Desired state from a policy file: its text now, and again whenever it changes. However it is changed (replaced by a
 * rename, written in place, a symbolic link on the way swapped), a file that is missing or unreadable is told as a
 * problem and never as an empty policy; whoever listens keeps the last good one.
 *
 * Writers should rename a finished file into place: that is atomic, and taken up at once. After anything else the file
 * must have been quiet for some milliseconds, because a policy cut short by an unfinished write may still be a valid
 * one, with rules missing.
 */
import { type FSWatcher, lstatSync, statSync, watch } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { watchedDirectories } from './watched-directories.ts'

export interface FileText {
  readonly text: string
  /** Last modification, milliseconds since 1970, by the file's clock. */
  readonly mtimeMs: number
  /** When the change was noticed, on performance.now()'s clock: the beginning of the way to the kernel. */
  readonly noticedAtMs: number
}

export interface FileProblem {
  /** `unwatched`: changes are still found, within the poll interval only. */
  readonly kind: 'missing' | 'unreadable' | 'unwatched'
  readonly message: string
}

export interface FileWatchOptions {
  /** Called with the first content, with each that differs from the one before, and with the one after a problem. */
  readonly onText: (file: FileText) => void
  /** Called once when a problem arises; the next text means that it is over. */
  readonly onProblem: (problem: FileProblem) => void
  /** How often the file is looked at without a sign that it changed (network file systems give none); 5,000. */
  readonly pollMs?: number
}

export interface FileWatch {
  /** Resolves when the first content or problem has been told. */
  readonly ready: Promise<void>
  /** Ends the watch; nothing is called afterwards. */
  close(): Promise<void>
}

const defaultPollMs = 5000
/** Longer than the pauses of a writer that is at work. */
const quietMs = 20
/** A file that is never quiet is read all the same. */
const longestWaitMs = 1000
/** Far above any policy: 1,000 rules are 200 kB, 50,000 members 1 MB. */
const maxBytes = 64 * 1024 * 1024

export function watchFile(path: string, { onText, onProblem, pollMs = defaultPollMs }: FileWatchOptions): FileWatch {
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly inode: number }>()
  let lastText: string | null = null
  let lastProblem: string | null = null
  let lastIdentity = ''
  /** When the first of the changes was noticed that have not been told yet; null where all have been. */
  let noticedAtMs: number | null = performance.now()
  let signs = 0
  let lastSignAtMs = 0
  /** How long the file has not been quiet. A time in which this process stood still says nothing of that. */
  let restlessMs = 0
  let timer: NodeJS.Timeout | undefined
  let soon: NodeJS.Immediate | undefined
  let reading: Promise<void> = Promise.resolve()
  let closed = false
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()

  /** @param afterMs  how long the file must stay quiet first */
  function noteChange(afterMs: number): void {
    if (closed) return
    const nowMs = performance.now()
    restlessMs = noticedAtMs === null ? 0 : restlessMs + Math.min(nowMs - lastSignAtMs, quietMs)
    noticedAtMs ??= nowMs
    signs += 1
    lastSignAtMs = nowMs
    clearTimeout(timer)
    clearImmediate(soon)
    if (afterMs === 0 || restlessMs >= longestWaitMs) readNow()
    else timer = setTimeout(readIfQuiet, afterMs)
  }

  /** Signs that came while this process stood still are heard first: timers are served before them. */
  function readIfQuiet(): void {
    soon = setImmediate(readNow)
  }

  function readNow(): void {
    reading = reading.then(async () => {
      if (closed || noticedAtMs === null) return
      const signsBefore = signs
      rearm()
      const outcome = await readWhole(path)
      if (closed) return
      if (outcome.kind === 'changing') return noteChange(quietMs)
      // What was written before it was read may be heard of only now; it is read again.
      if (signs !== signsBefore && restlessMs < longestWaitMs) return
      const since = noticedAtMs
      noticedAtMs = null
      lastIdentity = outcome.identity
      if (outcome.kind === 'text') deliver({ ...outcome.file, noticedAtMs: since })
      else tellProblem(outcome.problem)
      becomeReady()
    })
  }

  function deliver(file: FileText): void {
    const isOver = lastProblem !== null
    lastProblem = null
    if (file.text === lastText && !isOver) return
    lastText = file.text
    onText(file)
  }

  function tellProblem(problem: FileProblem): void {
    if (problem.message === lastProblem) return
    lastProblem = problem.message
    onProblem(problem)
  }

  /** The directories to listen to follow from the links on the way, which may have changed. */
  function rearm(): void {
    const wanted = watchedDirectories(path)
    for (const [directory, { watcher, inode }] of watchers) {
      if (wanted.has(directory) && inodeOf(directory) === inode) continue
      watcher.close()
      watchers.delete(directory)
    }
    for (const [directory, names] of wanted) if (!watchers.has(directory)) listen(directory, names)
  }

  function listen(directory: string, names: ReadonlySet<string>): void {
    const inode = inodeOf(directory)
    if (inode === null) return
    try {
      const sign = readSigns(directory, names, noteChange)
      const watcher = watch(directory, { persistent: true }, sign)
      watcher.on('error', () => noteChange(quietMs))
      watchers.set(directory, { watcher, inode })
    } catch (error) {
      const message = `Cannot watch "${directory}" for changes: ${(error as Error).message}; looking every ${pollMs} ms instead`
      onProblem({ kind: 'unwatched', message })
    }
  }

  async function poll(): Promise<void> {
    if ((await identityOf(path)) !== lastIdentity) noteChange(quietMs)
  }

  const poller = setInterval(poll, pollMs)
  noteChange(0)
  return {
    ready,
    async close() {
      closed = true
      becomeReady()
      clearInterval(poller)
      clearTimeout(timer)
      clearImmediate(soon)
      for (const { watcher } of watchers.values()) watcher.close()
      await reading
    },
  }
}

/**
 * Turns the events of one directory into waiting times. A rename gives two in a row: one for the name that was left,
 * which is gone then, one for the name it got; the content is whole and waits for nothing. A new file that is still
 * being written, and a file moved in from another directory, give one.
 */
function readSigns(directory: string, names: ReadonlySet<string>, noteChange: (afterMs: number) => void) {
  let previous: string | null = null
  return (event: string, name: string | null) => {
    if (name === null || names.has(name)) {
      const moved =
        event === 'rename' && previous !== null && !names.has(previous) && !isThere(join(directory, previous))
      noteChange(moved ? 0 : quietMs)
    } else if (name === basename(directory)) {
      // The directory itself: deleted or moved away.
      noteChange(quietMs)
    }
    previous = event === 'rename' ? name : null
  }
}

type Reading =
  | { readonly kind: 'text'; readonly identity: string; readonly file: Omit<FileText, 'noticedAtMs'> }
  | { readonly kind: 'problem'; readonly identity: string; readonly problem: FileProblem }
  | { readonly kind: 'changing' }

async function readWhole(path: string): Promise<Reading> {
  const before = await identityOf(path)
  try {
    const file = await readText(path)
    const after = await identityOf(path)
    return before === after ? { kind: 'text', identity: before, file } : { kind: 'changing' }
  } catch (error) {
    return { kind: 'problem', identity: before, problem: problemWith(path, error as NodeJS.ErrnoException) }
  }
}

async function readText(path: string): Promise<Omit<FileText, 'noticedAtMs'>> {
  const { size, mtimeMs, isPlainFile } = await stat(path).then(found => ({ ...found, isPlainFile: found.isFile() }))
  // Opening a named pipe would wait for its writer.
  if (!isPlainFile) throw new Error('expected a plain file')
  if (size > maxBytes) throw new Error(`it has ${size} bytes; expected at most ${maxBytes}`)
  const file = await open(path)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile())
    return { text, mtimeMs }
  } finally {
    await file.close()
  }
}

function problemWith(path: string, error: NodeJS.ErrnoException): FileProblem {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
    return { kind: 'missing', message: `Policy file "${path}" is missing` }
  }
  const reason = error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8 text' : error.message
  return { kind: 'unreadable', message: `Cannot read policy file "${path}": ${reason}` }
}

/** Differs whenever the content may differ: another file, another size, written again. */
async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable'
  }
}

function inodeOf(directory: string): number | null {
  try {
    return statSync(directory).ino
  } catch {
    return null
  }
}

function isThere(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch {
    return false
  }
}
