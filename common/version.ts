/** Ringwall's version, as package.json has it. */
import { readFileSync } from 'node:fs'

export const version: string = readVersion()

function readVersion(): string {
  const packageJson = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(packageJson) as { version: string }).version
}
