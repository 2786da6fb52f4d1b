import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import {
  addressBits,
  addressText,
  addressValue,
  cidrContains,
  cidrsOverlap,
  containsAddress,
  coverBlocks,
  type Family,
  families,
  familyOf,
  makeCidr,
  parseAddress,
  parseCidr,
} from '../../../rules-compiler/address/cidr.ts'

suite('parseAddress', () => {
  const rows: readonly [text: string, expected: string | null][] = [
    ['198.18.0.2', '198.18.0.2'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['256.0.0.1', null],
    ['198.18.0', null],
    ['198.18.0.2.', null],
    ['198.18.0.2.3', null],
    ['198.18.0.02', null],
    ['0x7f.0.0.1', null],
    ['2130706433', null],
    [' 198.18.0.2', null],
    ['198.18.0.2\n', null],
    ['', null],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:db8::2', '2001:db8::2'],
    ['2001:DB8::2', '2001:db8::2'],
    ['2001:0db8::0002', '2001:db8::2'],
    ['2001:db8:0:0:0:0:0:2', '2001:db8::2'],
    ['2001:db8:0:1::2', '2001:db8:0:1::2'],
    ['2001:db8::1:0:0:2', '2001:db8::1:0:0:2'],
    ['2001:db8:0:0:1::2', '2001:db8::1:0:0:2'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:1::', '0:0:1::'],
    ['1::0', '1::'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7', null],
    ['1:2:3:4:5:6:7:8:9', null],
    ['1::2::3', null],
    ['1:2:3:4:5:6:7::8', null],
    [':1', null],
    ['1:', null],
    ['12345::', null],
    ['g::', null],
    ['::ffff:198.18.0.2', null],
    ['::ffff:c612:2', null],
    ['fe80::1%eth0', null],
    ['[::1]', null],
    ['2001:db8::2\n', null],
  ]
  for (const [text, expected] of rows) {
    test(`${JSON.stringify(text)} is ${expected}`, () => assert.equal(parseAddress(text), expected))
  }
})

suite('parseCidr', () => {
  const rows: readonly [text: string, expected: string | null][] = [
    ['198.18.0.2', '198.18.0.2/32'],
    ['2001:db8::2', '2001:db8::2/128'],
    ['198.18.7.9/20', '198.18.0.0/20'],
    ['198.18.7.9/0', '0.0.0.0/0'],
    ['198.18.7.9/32', '198.18.7.9/32'],
    ['198.18.7.9/33', null],
    ['198.18.7.9/-1', null],
    ['198.18.7.9/08', null],
    ['198.18.7.9/', null],
    ['198.18.7.9/8/8', null],
    ['198.18.7.9/255.255.0.0', null],
    ['2001:db8:ffff:ffff::1/33', '2001:db8:8000::/33'],
    ['2001:db8::1/128', '2001:db8::1/128'],
    ['2001:db8::1/129', null],
    ['::1/0', '::/0'],
    ['/8', null],
    ['198.18.7.9 /8', null],
  ]
  for (const [text, expected] of rows) {
    test(`${JSON.stringify(text)} is ${expected}`, () => assert.equal(parseCidr(text)?.text ?? null, expected))
  }
})

/** Addresses with many zeros and repeats, where shortening goes wrong if it does. */
const ipv6Groups = fc.array(fc.oneof(fc.constantFrom(0, 0, 1, 0xffff), fc.integer({ min: 0, max: 0xffff })), {
  minLength: 8,
  maxLength: 8,
})
const ipv6Value = ipv6Groups
  .map(groups => groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n))
  .filter(value => value >> 32n !== 0xffffn)
const ipv4Value = fc.integer({ min: 0, max: 0xffffffff }).map(BigInt)
const address = fc.oneof(
  ipv4Value.map(value => ({ family: 'ip' as Family, value })),
  ipv6Value.map(value => ({ family: 'ip6' as Family, value })),
)
const cidr = fc
  .tuple(address, fc.nat(128))
  .map(([{ family, value }, length]) => makeCidr(family, value, length % (addressBits[family] + 1)))

suite('for any address or block', () => {
  test('an address is printed and parsed again', () => {
    fc.assert(
      fc.property(address, ({ family, value }) => {
        const text = addressText(family, value)
        assert.equal(familyOf(text), family)
        assert.equal(isIP(text), family === 'ip' ? 4 : 6)
        assert.equal(parseAddress(text), text)
        assert.equal(addressValue(text), value)
      }),
      { numRuns: 1000 },
    )
  })

  test('however an IPv6 address is written, it is read as one text', () => {
    const written = fc.tuple(ipv6Groups, fc.nat(8), fc.nat(8), fc.boolean(), fc.boolean())
    fc.assert(
      fc.property(written, ([groups, start, length, isPadded, isUpper]) => {
        const value = groups.reduce((total, group) => (total << 16n) | BigInt(group), 0n)
        fc.pre(value >> 32n !== 0xffffn)
        const words = groups.map(group => group.toString(16).padStart(isPadded ? 4 : 1, '0'))
        const canShorten =
          length > 0 && groups.slice(start, start + length).every(group => group === 0) && start + length <= 8
        const text = canShorten
          ? `${words.slice(0, start).join(':')}::${words.slice(start + length).join(':')}`
          : words.join(':')
        assert.equal(parseAddress(isUpper ? text.toUpperCase() : text), addressText('ip6', value))
      }),
      { numRuns: 2000 },
    )
  })

  test('parseAddress takes no text that is no address', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0123456789abf:.', '::', ':0:', '255'), maxLength: 20 })
    fc.assert(
      fc.property(text, candidate => {
        const parsed = parseAddress(candidate)
        if (parsed !== null) assert.ok(isIP(candidate) > 0 || candidate.includes('.'), candidate)
        if (parsed !== null) assert.equal(parseAddress(parsed), parsed)
      }),
      { numRuns: 5000 },
    )
  })

  test('a block is printed and parsed again', () => {
    fc.assert(fc.property(cidr, block => assert.deepEqual(parseCidr(block.text), block)))
  })

  test('a block holds the addresses that share its first bits', () => {
    const near = fc.tuple(cidr, address, fc.boolean(), fc.nat(127))
    fc.assert(
      fc.property(near, ([block, other, isNear, bit]) => {
        const bits = addressBits[block.family]
        const probe = isNear ? { family: block.family, value: block.first ^ (1n << BigInt(bit % bits)) } : other
        fc.pre(probe.family === 'ip' || probe.value >> 32n !== 0xffffn)
        const shift = BigInt(bits - block.prefixLength)
        const isInside = probe.family === block.family && probe.value >> shift === block.first >> shift
        assert.equal(containsAddress(block, addressText(probe.family, probe.value)), isInside)
      }),
      { numRuns: 1000 },
    )
  })

  test('blocks nest or are disjoint', () => {
    fc.assert(
      fc.property(cidr, cidr, (a, b) => {
        const holds = a.family === b.family && a.first <= b.first && b.last <= a.last
        assert.equal(cidrContains(a, b), holds)
        assert.equal(cidrsOverlap(a, b), cidrContains(a, b) || cidrContains(b, a))
      }),
    )
  })

  test('covering blocks are disjoint, some of those given, in order, and hold all of them', () => {
    const near = fc.tuple(cidr, fc.nat(128)).map(([block, shorter]) => {
      return [block, makeCidr(block.family, block.first, Math.max(0, block.prefixLength - shorter))]
    })
    fc.assert(
      fc.property(fc.array(near, { maxLength: 8 }), fc.nat(15), (pairs, turn) => {
        const blocks = pairs.flat()
        const covering = coverBlocks(blocks)
        assert.ok(covering.every(block => blocks.includes(block)))
        assert.ok(blocks.every(block => covering.some(outer => cidrContains(outer, block))))
        for (const [index, block] of covering.slice(1).entries()) {
          const before = covering[index]!
          const isAfter = before.family === block.family ? before.last < block.first : before.family < block.family
          assert.ok(isAfter, `${before.text} stands before ${block.text}`)
        }
        assert.deepEqual(coverBlocks([...blocks.slice(turn), ...blocks.slice(0, turn)]), covering)
      }),
    )
  })
})

suite('covering blocks', () => {
  const rows: readonly [blocks: string, expected: string][] = [
    ['', ''],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.0.0.0/8 10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.0.0/16 10.0.0.0/8 10.255.255.255/32', '10.0.0.0/8'],
    ['10.0.0.128/25 10.0.0.0/25', '10.0.0.0/25 10.0.0.128/25'],
    ['::/0 10.0.0.1/32 ::1/128 9.0.0.0/8', '9.0.0.0/8 10.0.0.1/32 ::/0'],
  ]
  for (const [blocks, expected] of rows) {
    test(`of "${blocks}"`, () => {
      const given = blocks.split(' ').filter(text => text !== '')
      assert.equal(
        coverBlocks(given.map(text => parseCidr(text)!))
          .map(({ text }) => text)
          .join(' '),
        expected,
      )
    })
  }
})

test('there are two families', () => assert.deepEqual(families, ['ip', 'ip6']))
