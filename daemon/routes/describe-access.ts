/** Tables of docs/access-control.md, made from what decides. */
import { operatorNames } from '../ram/conditions.ts'
import { systemPolicies } from '../ram/system-policies.ts'
import { describeReads } from './access.ts'

/** A page with its tables between their marks as they must stand. */
export function withAccessTables(page: string): string {
  const tables: Readonly<Record<string, string>> = {
    operators: `${operatorNames
      .filter(name => !name.endsWith('IfExists'))
      .map(code)
      .join(', ')}.\n`,
    'system policies': table(
      ['name', 'allows'],
      systemPolicies.map(({ name, description }) => [code(name), description]),
    ),
    routes: table(
      ['route', 'asks for'],
      describeReads().map(([route, action]) => [
        code(route.replace(/:(\w+)/g, '{$1}')),
        action === 'everybody' ? 'nothing' : code(action),
      ]),
    ),
  }
  return Object.entries(tables).reduce((text, [name, made]) => {
    const marked = new RegExp(`(<!-- ${name}: [^>]*-->\\n)[\\s\\S]*?(<!-- end -->)`)
    return text.replace(marked, (_, begin: string, end: string) => `${begin}\n${made}\n${end}`)
  }, page)
}

const code = (text: string) => `\`${text}\``

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |\n`).join('')
}
