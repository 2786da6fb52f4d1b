/** Values of settings that are more than their JSON type says, and how each is read. */
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { type Cidr, parseCidr } from '../../rules-compiler/address/cidr.ts'
import type { Format } from '../../rules-compiler/validate/formats.ts'
import { isLoopback } from '../loopback.ts'
import { parseCommand } from '../notify/command.ts'
import { parseWebhookUrl } from '../notify/webhook.ts'

export interface Endpoint {
  readonly address: string
  readonly port: number
}

export type Listen =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type FormatName = keyof ReturnType<typeof formatsAt>

/** @param folder  what relative paths are relative to */
export function formatsAt(folder: string) {
  return {
    path: textFormat('path', 'a path', text => parsePath(text, folder)),
    endpoint: textFormat('address', 'ADDRESS:PORT such as 127.0.0.1:9469, IPv6 in brackets', parseEndpoint),
    'loopback-endpoint': textFormat(
      'address',
      'a loopback address and a port such as 127.0.0.1:9469 or [::1]:9469, or none',
      text => (text === 'none' ? text : parseLoopback(text)),
    ),
    rescue: textFormat(
      'address',
      'ADDRESS:PORT or ADDRESS/PREFIX:PORT such as 198.18.0.0/24:22, IPv6 in brackets: [2001:db8::/64]:22',
      parseRescue,
    ),
    listen: textFormat('address', 'ADDRESS:PORT such as 127.0.0.1:9480, IPv6 in brackets, or unix:PATH', text =>
      parseListen(text, folder),
    ),
    region: textFormat('region', 'a letter, then up to 63 letters, digits, "-" and "_"', text =>
      /^[a-z][\w-]{0,63}$/i.test(text) ? text : null,
    ),
    'https-url': textFormat('URL', 'https://HOST:PORT', parseHttpsUrl),
    'webhook-url': textFormat('URL', 'https://HOST/PATH or http://HOST/PATH, without user and password', text =>
      nullOnError(() => parseWebhookUrl(text)),
    ),
    command: {
      name: 'command',
      expected: 'the path of a program from / on, or ["PATH", "ARGUMENT", …]',
      parse: parseProgram,
    },
  } as const satisfies Record<string, Format<unknown>>
}

function textFormat<T>(name: string, expected: string, parse: (text: string) => T | null): Format<T> {
  return { name, expected, parse: value => (typeof value === 'string' ? parse(value) : null) }
}

function parsePath(text: string, folder: string): string | null {
  return text === '' || /\p{Cc}/u.test(text) ? null : resolve(folder, text)
}

function parseEndpoint(text: string): Endpoint | null {
  const { place, port, family } = splitPort(text)
  return isIP(place) === (family === 'ip' ? 4 : 6) && port <= 65_535 ? { address: place, port } : null
}

function parseRescue(text: string): { readonly source: Cidr; readonly port: number } | null {
  const { place, port, family } = splitPort(text)
  const source = parseCidr(place)
  return source?.family === family && port >= 1 && port <= 65_535 ? { source, port } : null
}

/** What stands before the port, empty where there is none; IPv6 alone is in brackets. */
function splitPort(text: string): { readonly place: string; readonly port: number; readonly family: 'ip' | 'ip6' } {
  const [, inBrackets, plain = '', digits = ''] = /^(?:\[([^[\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const family = inBrackets === undefined ? 'ip' : 'ip6'
  return { place: inBrackets ?? plain, port: Number(digits), family }
}

function parseLoopback(text: string): Endpoint | null {
  const endpoint = parseEndpoint(text)
  return endpoint !== null && isLoopback(endpoint.address) ? endpoint : null
}

function parseListen(text: string, folder: string): Listen | null {
  const [, path] = /^unix:(.+)$/s.exec(text) ?? []
  if (path !== undefined) {
    const absolute = parsePath(path, folder)
    return absolute === null ? null : { kind: 'unix', path: absolute }
  }
  const endpoint = parseEndpoint(text)
  return endpoint === null ? null : { kind: 'tcp', ...endpoint }
}

function parseHttpsUrl(text: string): string | null {
  const url = URL.parse(text)
  const isBare = url?.protocol === 'https:' && url.pathname === '/' && `${url.search}${url.hash}${url.username}` === ''
  return isBare ? url.origin : null
}

/** A list in the file is the same as its JSON text in a flag. */
function parseProgram(value: unknown): readonly string[] | null {
  if (typeof value !== 'string' && !Array.isArray(value)) return null
  return nullOnError(() => parseCommand(typeof value === 'string' ? value : JSON.stringify(value)))
}

function nullOnError<T>(parse: () => T): T | null {
  try {
    return parse()
  } catch {
    return null
  }
}
