/** A whole terminal screen that is drawn over and over, beside what stood there before; and the keys pressed meanwhile. */
import type { EventEmitter } from 'node:events'
import type { Io, Output } from '../command.ts'
import { isTerminal } from './terminal.ts'

export type Key = 'up' | 'down' | 'quit' | 'suspend'

export interface Size {
  readonly columns: number
  readonly rows: number
}

type Environment = Readonly<Record<string, string | undefined>>

interface TerminalOutput extends Output, EventEmitter {
  readonly columns?: number
  readonly rows?: number
}

interface TerminalInput extends NodeJS.ReadableStream {
  setRawMode?(isRaw: boolean): unknown
  unref?(): void
}

/** The alternate screen of xterm and its like: what stood there before comes back when it is left. */
const enter = '\u001b[?1049h\u001b[?25l'
const leave = '\u001b[?25h\u001b[?1049l'
const home = '\u001b[H'
const clearToEndOfLine = '\u001b[K'
const clearToEnd = '\u001b[J'

/** Terminals that do not say how large they are. */
const usualSize: Size = { columns: 80, rows: 24 }

/** A stopped process counts no time: who comes so far was not stopped. */
const unstoppedMs = 200

const keys: Readonly<Record<string, Key>> = {
  '\u001b[A': 'up',
  '\u001bOA': 'up',
  k: 'up',
  '\u001b[B': 'down',
  '\u001bOB': 'down',
  j: 'down',
  q: 'quit',
  '\u0003': 'quit',
  '\u001a': 'suspend',
}

/** Whether a screen can be drawn there at all. */
export function canDraw({ stdout }: Io, env: Environment): boolean {
  return isTerminal(stdout) && env.TERM !== 'dumb'
}

/** Also on a terminal only where nobody has asked for none (no-color.org). */
export function hasColors({ stdout }: Io, env: Environment): boolean {
  return isTerminal(stdout) && env.TERM !== 'dumb' && (env.NO_COLOR ?? '') === ''
}

/** Keys in what a terminal sends at once; others are left out. */
export function readKeys(text: string): Key[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape character begins the keys that have no character.
  const pressed = text.match(/\u001b[[O][A-Za-z~]|[\s\S]/g) ?? []
  return pressed.flatMap(each => (Object.hasOwn(keys, each) ? [keys[each]!] : []))
}

export class Screen implements Disposable {
  readonly #input: TerminalInput
  readonly #output: TerminalOutput
  readonly #onKey: (key: Key) => void
  readonly #onResize: () => void
  #isOpen = false

  constructor(io: Io, { onKey, onResize }: { readonly onKey: (key: Key) => void; readonly onResize: () => void }) {
    this.#input = io.stdin
    this.#output = io.stdout as TerminalOutput
    this.#onKey = onKey
    this.#onResize = onResize
  }

  get hasKeys(): boolean {
    return isTerminal(this.#input) && this.#input.setRawMode !== undefined
  }

  get size(): Size {
    const { columns, rows } = this.#output
    return { columns: columns || usualSize.columns, rows: rows || usualSize.rows }
  }

  open(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.#output.write(enter)
    this.#output.on?.('resize', this.#onResize)
    // However the process ends, the terminal is as it was.
    process.on('exit', this.#close)
    if (!this.hasKeys) return
    this.#input.setRawMode!(true)
    this.#input.on('data', this.#hear)
    this.#input.resume()
  }

  /** At most as many lines as there are rows, none wider than the columns. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return
    const shown = lines.slice(0, this.size.rows).map(line => `${line}${clearToEndOfLine}`)
    this.#output.write(`${home}${shown.join('\r\n')}${clearToEnd}`)
  }

  close(): void {
    this.#close()
  }

  /** As Ctrl-Z does: the shell has the terminal until it is told to go on. */
  suspend(onResume: () => void): void {
    this.#close()
    const resume = () => {
      clearTimeout(timer)
      process.off('SIGCONT', resume)
      if (this.#isOpen) return
      this.open()
      onResume()
    }
    process.on('SIGCONT', resume)
    // Where no shell could tell us to go on, the kernel does not stop us (POSIX, orphaned process groups).
    const timer = setTimeout(resume, unstoppedMs)
    process.kill(process.pid, 'SIGTSTP')
  }

  [Symbol.dispose](): void {
    this.#close()
  }

  readonly #hear = (data: Buffer | string) => {
    for (const key of readKeys(String(data))) this.#onKey(key)
  }

  readonly #close = () => {
    if (!this.#isOpen) return
    this.#isOpen = false
    process.off('exit', this.#close)
    this.#output.off?.('resize', this.#onResize)
    if (this.hasKeys) {
      this.#input.off('data', this.#hear)
      this.#input.pause()
      this.#input.setRawMode!(false)
    }
    this.#output.write(leave)
  }
}
