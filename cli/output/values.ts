/** Values of the API as people read them. */

/** `2026-11-26 20:40`, local; '' for none. */
export function timeText(iso: string | null | undefined): string {
  if (iso === null || iso === undefined) return ''
  const time = new Date(iso)
  if (Number.isNaN(time.getTime())) return iso
  const two = (number: number) => String(number).padStart(2, '0')
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`
}

/** The same with seconds: what happens within a minute. */
export function secondText(iso: string | null | undefined): string {
  const minute = timeText(iso)
  return minute === '' || minute === iso ? minute : `${minute}:${secondsOf(iso!)}`
}

/** `20:40:07`, local. */
export function clockText(iso: string): string {
  return secondText(iso).slice(-'20:40:07'.length)
}

function secondsOf(iso: string): string {
  return String(new Date(iso).getSeconds()).padStart(2, '0')
}

/** `1 rule`, `2 rules`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

/** `env=prod, team=web` */
export function tagsText(tags: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(tags ?? {})
    .map(([key, value]) => (value === '' ? key : `${key}=${value}`))
    .join(', ')
}

export function listText(items: readonly string[] | undefined): string {
  return (items ?? []).join(', ')
}

/** Of an audited write or a commit; a daemon from before had one word for all that it was. */
export function actionsText({ action, actions = [action] }: Readonly<Record<string, unknown>>): string {
  return valueText(actions)
}

/** Any JSON value in one line. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (Array.isArray(value)) return value.map(valueText).join(', ')
  if (typeof value !== 'object') return String(value)
  return Object.entries(value)
    .map(([key, each]) => `${key} ${valueText(each) || '-'}`)
    .join(', ')
}
