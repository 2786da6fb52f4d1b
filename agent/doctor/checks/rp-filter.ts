import { defineCheck } from '../check.ts'
import { listed } from '../words.ts'

const folder = '/proc/sys/net/ipv4/conf'

export interface RpFilterFacts {
  readonly all: number
  readonly devices: readonly { readonly name: string; readonly value: number }[]
}

export const rpFilter = defineCheck<RpFilterFacts, 'rp-filter-strict' | 'rp-filter'>({
  name: 'rp-filter',
  area: 'devices',
  question: 'Does the kernel drop packets for the way they came?',
  needs: [],
  outcomes: {
    'rp-filter-strict': {
      severity: 'note',
      means:
        'A packet that comes in by another device than its answer would go out by is dropped by routing, after Ringwall has accepted and counted it.',
      advice:
        'Set net.ipv4.conf.DEVICE.rp_filter and …all.rp_filter to 2 or 0 where ways differ (several uplinks, VRFs).',
    },
    'rp-filter': { severity: 'ok', means: 'No device is strict about it.', advice: '' },
  },
  async gather(host) {
    const read = async (name: string) => Number((await host.readText(`${folder}/${name}/rp_filter`)) ?? 0)
    const names = (await host.devices()).map(({ name }) => name).filter(name => name !== 'lo')
    return {
      all: await read('all'),
      devices: await Promise.all(names.map(async name => ({ name, value: await read(name) }))),
    }
  },
  judge({ all, devices }) {
    // The larger of the two holds (Documentation/networking/ip-sysctl.rst).
    const strict = devices.filter(({ value }) => Math.max(all, value) === 1).map(({ name }) => name)
    if (strict.length === 0) return [{ code: 'rp-filter', found: 'no device' }]
    return [{ code: 'rp-filter-strict', found: listed(strict), details: strict }]
  },
})
