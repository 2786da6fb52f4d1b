/** Rules of a group as a file, JSON or CSV, and back. */
import { readRule } from '../../rules-compiler/validate/read-rule.ts'
import { ApiError, type FieldError, fieldError } from '../errors.ts'
import type { GroupDoc, RuleDoc } from '../model/documents.ts'
import {
  type AskedPermission,
  copiedPermissionSchema,
  type ExportedRule,
  maxImported,
  type Permission,
  ruleFieldNames,
} from '../schemas/rules.ts'
import { compileValidator } from '../schemas/validator.ts'
import { type CsvRecord, readCsv, writeCsv } from './csv.ts'
import type { Plan } from './executor.ts'
import { type Asked, type AskedRule, askFor, exportRule, showPermission } from './permissions.ts'
import { type CheckedRule, checkRules, contentOf } from './rule-check.ts'
import { addRules, type GroupCall, makeRule, writeGroup } from './rules.ts'
import { defaultGroupPriority, defaultGroupRules } from './templates.ts'

export function exportRules({ rules }: GroupDoc): { permissions: ExportedRule[] } {
  return { permissions: rules.map(exportRule) }
}

/** A column for every field, whether or not a rule has it. */
export function exportCsv({ rules }: GroupDoc): string {
  return writeCsv([ruleFieldNames, ...rules.map(rule => ruleFieldNames.map(name => String(rule[name] ?? '')))])
}

/** What a client sends: JSON of a right shape, or the text of a CSV file. */
export type RuleFile = { readonly permissions: readonly AskedPermission[] } | string

/**
 * @param mode  `append` adds to what is there; `replace` leaves nothing else, though a rule that stays keeps its id
 * @throws {ApiError} with everything that is wrong; nothing is imported then
 */
export function importRules(
  call: GroupCall,
  file: RuleFile,
  mode: 'append' | 'replace',
): Plan<{ permissions: Permission[] }> {
  const { group, nowMs } = call
  const read = withDefaultPriority(typeof file === 'string' ? askForCsv(call, file) : askForAll(call, file.permissions))
  const rest = mode === 'append' ? group : { ...group, rules: [] }
  const checked = checkRules({ ...call, group: rest, asked: read })
  const { rules, meant } =
    mode === 'append' ? addRules(group.rules, checked, nowMs) : replaceRules(group.rules, checked, nowMs)
  return {
    writes: [writeGroup({ ...group, rules })],
    body: () => ({ permissions: meant.map(showPermission) }),
  }
}

/** In the order of the file; the descriptions are those of the file too. */
function replaceRules(present: readonly RuleDoc[], checked: readonly CheckedRule[], nowMs: number) {
  const known = new Map(present.map(rule => [contentOf(rule), rule]))
  const byContent = new Map<string, RuleDoc>()
  for (const { fields, content } of checked) {
    const there = known.get(content)
    if (byContent.has(content)) continue
    byContent.set(
      content,
      there === undefined ? makeRule(fields, nowMs) : { id: there.id, ...fields, createdAtMs: there.createdAtMs },
    )
  }
  const rules = [...byContent.values()]
  return { rules, meant: rules }
}

function askForAll(
  { world }: GroupCall,
  permissions: readonly AskedPermission[],
  tell?: (index: number) => AskedRule['tell'],
) {
  return askFor(permissions, {
    objectsPerPermission: world.settings.limits.authorizationObjectsPerRequest,
    ...(tell !== undefined && { tell }),
  })
}

/** The priority that default groups had before it became 100. */
const oldDefaultPriority = 110

/** Files from then are taken, for the rules of default groups as they were published and no others. */
function withDefaultPriority({ rules, errors }: Asked): Asked {
  return {
    rules: rules.map(rule => {
      if (rule.fields.priority !== oldDefaultPriority) return rule
      const fields = { ...rule.fields, priority: defaultGroupPriority }
      const content = readRule(fields, '')?.content
      return content !== undefined && defaultContents.has(content) ? { ...rule, fields } : rule
    }),
    errors,
  }
}

const defaultContents = new Set(defaultGroupRules({ webPorts: true }).map(rule => readRule(rule, '')!.content))

function askForCsv(call: GroupCall, text: string): Asked {
  const reading = readCsv(text)
  if (reading.fault !== null) throw unreadable(reading.fault.line, reading.fault.message)
  const [header, ...records] = reading.records
  if (header === undefined)
    throw unreadable(1, `Cannot do without a header: expected one of ${columns.join(', ')} in each cell`)
  requireColumns(header)
  if (records.length > maxImported) {
    throw unreadable(records[maxImported]!.line, `Cannot read so many rules: expected at most ${maxImported}`)
  }
  const errors: FieldError[] = []
  const sound: { readonly permission: AskedPermission; readonly line: number }[] = []
  for (const record of records) {
    const permission = readRecord(record, header.cells, errors)
    if (permission !== null) sound.push({ permission, line: record.line })
  }
  const permissions = sound.map(({ permission }) => permission)
  const asked = askForAll(call, permissions, index => atLine(sound[index]!.line))
  return { rules: asked.rules, errors: [...errors, ...asked.errors] }
}

const columns = Object.keys(copiedPermissionSchema.properties)

function requireColumns({ line, cells }: CsvRecord): void {
  const unknown = cells.find(name => !columns.includes(name))
  if (unknown !== undefined) {
    const { message } = fieldError('unknown-field', '', {
      action: 'read column',
      value: unknown,
      expected: `one of ${columns.join(', ')}`,
    })
    throw unreadable(line, message)
  }
  const repeated = cells.find((name, index) => cells.indexOf(name) !== index)
  if (repeated !== undefined)
    throw unreadable(line, `Cannot read column "${repeated}" a second time: expected each once`)
}

const validate = compileValidator({
  schema: copiedPermissionSchema,
  method: 'POST',
  url: '',
  httpPart: 'body',
}) as (value: unknown) => { readonly value?: AskedPermission; readonly error?: ApiError }

/** @returns null where it is no permission; what is wrong goes to `errors` */
function readRecord(
  { line, cells }: CsvRecord,
  header: readonly string[],
  errors: FieldError[],
): AskedPermission | null {
  if (cells.length !== header.length) {
    const expected = `${header.length}, as the header has`
    const options = { action: 'read a line with a count of cells of', value: cells.length, expected }
    errors.push(fieldError('invalid-value', `line ${line}`, options))
    return null
  }
  const given = header.flatMap((name, index) => (cells[index] === '' ? [] : [[name, readCell(name, cells[index]!)]]))
  const { error, value } = validate(Object.fromEntries(given))
  errors.push(...(error?.errors ?? []).map(atLine(line)))
  return value ?? null
}

/** A cell that is no number is told as one that should be. */
function readCell(name: string, text: string): string | number {
  return name === 'priority' && /^-?(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : text
}

function atLine(line: number): AskedRule['tell'] {
  return error => ({
    ...error,
    field: `line ${line}`,
    message: error.field === '' ? error.message : `${error.field}: ${error.message}`,
  })
}

function unreadable(line: number, message: string): ApiError {
  const field = `line ${line}`
  return new ApiError(400, 'InvalidParameter', `${field}: ${message}`, {
    errors: [{ code: 'syntax', field, message }],
  })
}
