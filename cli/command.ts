/** What every `ringwall` command is, and what they share: output, exit codes, reading a policy file. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Policy } from '../rules-compiler/model/policy.ts'
import { formatProblem } from '../rules-compiler/validate/problem.ts'
import { readPolicy } from '../rules-compiler/validate/read-policy.ts'

export interface Command {
  /** As typed after `ringwall`. */
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** The whole help text, ending in a newline. */
  readonly usage: string
  /** The help text for what was typed so far; `usage` where left out. */
  helpFor?(args: readonly string[]): string | Promise<string>
  /**
   * @param args  what was typed after the name
   * @returns the exit code: one of those below
   * @throws {UsageError} if the arguments are wrong
   * @throws {InputError} if a file says something wrong
   * @throws {OperationError} if the daemon refuses, or cannot be asked
   */
  run(args: readonly string[], io: Io): Promise<number>
}

/** Where a command reads and writes; the process's own streams, or a test's. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream
  readonly stdout: Output
  readonly stderr: Output
}

export interface Output {
  write(text: string): unknown
}

/** The command line itself is wrong; the message names the flag. */
export class UsageError extends Error {
  /** What to ask help about, `rule add`; the command itself where left out. */
  readonly place: string | undefined

  constructor(message?: string, place?: string) {
    super(message)
    this.place = place
  }
}

/** A file is wrong; one line per fault, each with the path of the field. */
export class InputError extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

/** It cannot be done, for a reason that is told in lines; the first says what, the others what to do next. */
export class OperationError extends Error {
  readonly lines: readonly string[]
  readonly exitCode: number

  constructor(lines: readonly string[], exitCode: number, cause?: unknown) {
    super(lines.join('\n'), cause === undefined ? {} : { cause })
    this.lines = lines
    this.exitCode = exitCode
  }
}

/** 0 is done; 1 failed, or a finding the caller asked to fail on. */
export const exitFailed = 1
export const exitBadInput = 2
/** The change is stored, but did not stand in every kernel in the time to wait. */
export const exitNotInForce = 3
/** The daemon refused. */
export const exitRefused = 4
/** The daemon cannot be reached. */
export const exitNotReachable = 5

/** Runs a command, or prints its usage where that is asked for; wrong arguments and wrong input become lines on stderr and exit code 2, nothing on stdout. */
export async function runCommand(command: Command, args: readonly string[], io: Io): Promise<number> {
  if (asksForHelp(args)) {
    io.stdout.write((await command.helpFor?.(args)) ?? command.usage)
    return 0
  }
  try {
    return await command.run(args, io)
  } catch (error) {
    if (error instanceof UsageError) {
      const { place = command.name } = error
      io.stderr.write(`ringwall ${place}: ${error.message}\nSee "ringwall ${place} --help".\n`)
      return exitBadInput
    }
    if (error instanceof InputError) {
      for (const fault of error.faults) io.stderr.write(`${fault}\n`)
      return exitBadInput
    }
    if (error instanceof OperationError) {
      for (const line of error.lines) io.stderr.write(`${line}\n`)
      return error.exitCode
    }
    throw error
  }
}

/** What comes after `--` is another program's. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end === -1 ? args.length : end).some(arg => arg === '--help' || arg === '-h')
}

/**
 * A checked policy from a file.
 * @param file  path, or `-` for standard input
 * @throws {InputError} if the file cannot be read or says something wrong, with one line for each fault
 */
export async function loadPolicy(file: string, io: Io): Promise<Policy> {
  const { policy, problems } = readPolicy(await readInput(file, io))
  if (policy === null) throw new InputError(problems.map(formatProblem))
  return policy
}

async function readInput(file: string, io: Io): Promise<string> {
  try {
    return await readText(file, io)
  } catch (error) {
    throw new InputError([`Cannot read policy file "${file}": ${fileFault(error)}`])
  }
}

/** @param file  path, or `-` for standard input */
export async function readText(file: string, io: Io): Promise<string> {
  return file === '-' ? await text(io.stdin) : await readFile(file, 'utf8')
}

/** Why a file cannot be read, in words. @param error  as Node throws it */
export function fileFault(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  return fileFaults[code] ?? message
}

/** Why it cannot be written: what is missing then is its folder. */
export function writeFault(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such folder' : fileFault(error)
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'what its path names as a folder is none',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
}
