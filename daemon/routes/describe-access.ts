/** Tables of docs/access-control.md, made from what decides. */
import { code, markdownTable, withSections } from '../../common/markdown.ts'
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
    'system policies': markdownTable(
      ['name', 'allows'],
      systemPolicies.map(({ name, description }) => [code(name), description]),
    ),
    routes: markdownTable(
      ['route', 'asks for'],
      describeReads().map(([route, action]) => [
        code(route.replace(/:(\w+)/g, '{$1}')),
        action === 'everybody' ? 'nothing' : code(action),
      ]),
    ),
  }
  return withSections(page, tables)
}
