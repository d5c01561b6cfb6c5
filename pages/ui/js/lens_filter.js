// The filter of frequencies in the browser, as core/metrics/bands.py defines it: square images as flat arrays of doubles.
const first = (side, edge) => (edge === 100 ? Math.floor(side / 2) + 1 : Math.ceil((edge * side) / 200))
const below = (side, radius) => (radius ? Math.min(2 * radius - 1, side) : 0)
const span = (side, [low, high]) => [below(side, first(side, low)), below(side, first(side, high))]

// orthonormal waves of one axis, a row a wave, by rising frequency
const waves = (side) => {
  const rows = [new Float64Array(side).fill(1 / Math.sqrt(side))]
  for (let m = 1; 2 * m < side; m++) {
    for (const turn of [Math.cos, Math.sin]) {
      rows.push(Float64Array.from({ length: side }, (_, j) => Math.sqrt(2 / side) * turn((2 * Math.PI * ((m * j) % side)) / side)))
    }
  }
  if (side % 2 === 0) rows.push(Float64Array.from({ length: side }, (_, j) => (1 - 2 * (j % 2)) / Math.sqrt(side)))
  return rows
}

// what each pair of waves has of an image
const coefficients = (basis, image) => {
  const side = basis.length
  const half = basis.map((wave) => {
    const row = new Float64Array(side)
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) row[x] += wave[y] * image[y * side + x]
    return row
  })
  return half.map((row) => Float64Array.from(basis, (wave) => wave.reduce((sum, value, x) => sum + value * row[x], 0)))
}

// the image of the coefficients from the square below `start` on, up to the square below `end`
const image = (basis, has, [start, end]) => {
  const side = basis.length
  const out = new Float64Array(side * side)
  const row = new Float64Array(side)
  for (let v = 0; v < end; v++) {
    row.fill(0)
    for (let u = v < start ? start : 0; u < end; u++) {
      const value = has[v][u]
      for (let x = 0; x < side; x++) row[x] += value * basis[u][x]
    }
    for (let y = 0; y < side; y++) {
      const value = basis[v][y]
      for (let x = 0; x < side; x++) out[y * side + x] += value * row[x]
    }
  }
  return out
}

// SplitMix64, 64 random bits a word, lowest bit first: white noise of ±1 that is the server's to the last bit
const signs = (seed, index, count) => {
  const golden = 0x9e3779b97f4a7c15n
  const wrap = (value) => BigInt.asUintN(64, value)
  const mix = (value) => {
    let z = wrap(value)
    z = wrap((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
    z = wrap((z ^ (z >> 27n)) * 0x94d049bb133111ebn)
    return z ^ (z >> 31n)
  }
  let state = 0n
  for (const part of [0, seed, index]) state = mix(state + (BigInt(part) + 1n) * golden)
  const out = new Float64Array(count)
  for (let place = 0; place < count; place += 64) {
    const word = mix(state + BigInt(place / 64 + 1) * golden)
    const halves = [Number(word & 0xffffffffn), Number(word >> 32n)]
    for (let bit = 0; bit < Math.min(64, count - place); bit++) out[place + bit] = (halves[bit >> 5] >>> (bit & 31)) & 1 ? 1 : -1
  }
  return out
}

// an image with its lens: `through(step)` is core/metrics/lens.py's view, one array after the other for the channels
const lens = ({ kind, pixels, shape, mean, strength, index }) => {
  const [channels, side] = shape
  const area = side * side
  const basis = waves(side)
  const whole = Float64Array.from(pixels, (value) => value / 255)
  const noise = kind === "noise"
  const source = noise ? signs(0, index, channels * area) : whole.map((value, i) => value - mean[Math.floor(i / area)])
  const has = Array.from({ length: channels }, (_, c) => coefficients(basis, source.subarray(c * area, (c + 1) * area)))
  const through = (step) => {
    const kept = new Float64Array(channels * area)
    for (const ring of step) {
      has.forEach((own, c) => image(basis, own, span(side, ring)).forEach((value, i) => (kept[c * area + i] += value / step.length)))
    }
    const size = noise ? (strength * Math.sqrt(kept.length)) / Math.hypot(...blocks(kept)) : 1
    return kept.map((value, i) => value * size + (noise ? whole[i] : mean[Math.floor(i / area)]))
  }
  return { whole, through, bright: (step) => noise || step.every(([low, high]) => low === 0 && first(side, high) > 0) }
}

// lengths of parts of an array: Math.hypot takes only so many numbers at a time
const blocks = (values) => {
  const out = []
  for (let i = 0; i < values.length; i += 1024) out.push(Math.hypot(...values.subarray(i, i + 1024)))
  return out
}
