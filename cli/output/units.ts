/** Rates and amounts as people read them: three digits that count, and the unit that makes them short. */

const steps = ['', 'k', 'M', 'G', 'T'] as const

/** `812 Mbit/s`, `1.02 Gbit/s`; 10^3 from one unit to the next. */
export function bitRateText(bitsPerSecond: number): string {
  return scaled(bitsPerSecond, 'bit/s')
}

/** `94.1 kpps`: packets a second. */
export function packetRateText(packetsPerSecond: number): string {
  return scaled(packetsPerSecond, 'pps')
}

/** `8.1 GB`. */
export function bytesText(bytes: number): string {
  return scaled(bytes, 'B')
}

/** `1,234,567`: what is compared with the counts of others is not rounded. */
export function countText(number: number): string {
  return Math.round(number).toLocaleString('en')
}

/** Of a share from 0 on: `41%`, `0.3%`, `2,450%`. */
export function percentText(share: number): string {
  const percent = share * 100
  if (percent > 0 && percent < 0.1) return '<0.1%'
  return `${percent < 9.95 ? Number(percent.toFixed(1)) : countText(percent)}%`
}

/** `########....` with so many places: full from a share of 1 on, and never empty above 0. */
export function barText(share: number, places: number): string {
  const rounded = Math.round(Math.min(1, Math.max(0, share)) * places)
  // Full means that it is reached, nothing that there is nothing.
  const filled = share >= 1 ? places : share > 0 ? Math.min(places - 1, Math.max(1, rounded)) : 0
  return '#'.repeat(filled) + '.'.repeat(places - filled)
}

/** `90 s`, `12 min`, `1 h 20 min`, `2 d 4 h`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 120) return `${whole} s`
  const minutes = Math.round(whole / 60)
  if (minutes < 60) return `${minutes} min`
  const [hours, restMinutes] = [Math.floor(minutes / 60), minutes % 60]
  if (hours < 48) return joined(hours, 'h', restMinutes, 'min')
  return joined(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function joined(many: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${many} ${unit}` : `${many} ${unit} ${rest} ${restUnit}`
}

function scaled(number: number, unit: string): string {
  let value = Math.max(0, number)
  let step = 0
  // 999.6 would be written 1000: it belongs to the next unit already.
  while (Number(value.toPrecision(3)) >= 1000 && step < steps.length - 1) {
    value /= 1000
    step += 1
  }
  const shown = step === 0 ? Math.round(value) : Number(value.toPrecision(3))
  return `${shown} ${steps[step]}${unit}`
}
