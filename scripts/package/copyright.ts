/** The file of copyrights: Ringwall's licence, and that of all that is bundled with it. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const apache = 'On Debian systems the whole text of this licence is in /usr/share/common-licenses/Apache-2.0.'

/** Part of another package, which does not name it. */
const withoutPackage: Readonly<Record<string, string>> = {
  'swagger-ui': `The page of the REST API (lib/static), Copyright SmartBear Software Inc., is under the Apache License, Version 2.0.\n${apache}`,
}

/**
 * @param packages     of npm, which are in the bundles
 * @param nodeLicence  of Node and of what is linked into it
 */
export async function copyrightText(
  project: string,
  packages: readonly string[],
  nodeLicence: string,
): Promise<string> {
  const parts = [
    `Ringwall is under the Apache License, Version 2.0.\nCopyright 2026 The Ringwall authors\n${apache}`,
    ...(await Promise.all(packages.map(name => partOf(project, name)))),
    `Node.js (/usr/lib/ringwall/node), as its authors build it:\n\n${withoutApache(nodeLicence)}`,
  ]
  return `${parts.map(text => text.trim()).join(`\n\n${'-'.repeat(78)}\n\n`)}\n`
}

async function partOf(project: string, name: string): Promise<string> {
  const told = withoutPackage[name]
  if (told !== undefined) return `${name}:\n\n${told}`
  const folder = join(project, 'node_modules', name)
  const { version, license, author } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const files = (await readdir(folder)).filter(file => /^(licen[cs]e|copying|notice)/i.test(file)).sort()
  const texts = await Promise.all(files.map(file => readFile(join(folder, file), 'utf8')))
  if (texts.length === 0) texts.push(`Copyright ${typeof author === 'string' ? author : author?.name}.`)
  return `${name} ${version}, ${license}:\n\n${texts.map(withoutApache).join('\n\n')}`
}

/** Debian has the text on every machine, and wants no copy of it; who holds the copyright is said before or after it. */
function withoutApache(text: string): string {
  return text.replace(
    /[ \t]*Apache License\s+Version 2\.0, January 2004[\s\S]*?END OF TERMS AND CONDITIONS/g,
    `Apache License, Version 2.0. ${apache}`,
  )
}
