/**
 * What `ip -j` prints. It writes names of devices as they are, and those may have control characters (dev_valid_name,
 * net/core/dev.c), which JSON may not: one such device, of a guest or another administrator, must not hide all others.
 */

/** @throws {SyntaxError} where it is no JSON all the same */
export function parseIpJson(text: string): unknown {
  return JSON.parse(text.replace(/[^\P{Cc}\n]/gu, escaped) || '[]')
}

/** Line breaks are never of a name, and stand between values. */
function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
