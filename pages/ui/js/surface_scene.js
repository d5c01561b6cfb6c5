// What a surface looks like from where the reader stands: heights, colours, the projection, one panel drawn from back to front, and
// which point lies under the pointer.  Nothing here knows of the page; pages/ui/surface.py puts surface.js behind it.
const RISE = 1.15 // height of the scale, in sides of the floor
const LIGHT = [-0.55, 0.3, 0.78] // right, towards the reader, up
const LEVELS = 64
const DIVERGED = 2

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
const floats = (text) => new Float32Array(bytes(text).buffer)
const clamp = (v, low, high) => Math.min(high, Math.max(low, v))
const minus = (text) => String(text).replace("-", "−")

// ---- heights: from what was measured to a box of side 1 and height RISE

const lift = (v, { log, low, high }) => {
  const [a, b, z] = log ? [Math.log(low), Math.log(high), Math.log(Math.max(v, 1e-12))] : [low, high, v]
  return (RISE * (z - a)) / (b - a)
}

const prepare = (given, scale) => {
  const [axis, values, state] = [floats(given.axis), floats(given.values), bytes(given.state)]
  const n = axis.length
  const half = 2 * Math.max(...axis.map(Math.abs))
  const at = (i, j) => ({ x: axis[j] / half, y: axis[i] / half, z: lift(values[i * n + j], scale) })
  const points = []
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) points.push(at(i, j))
  const quads = []
  const holes = []
  for (let k = 0; k < n * n; k++) if (state[k] === DIVERGED) holes.push(k)
  for (let i = 0; i + 1 < n; i++) {
    for (let j = 0; j + 1 < n; j++) {
      const corners = [i * n + j, i * n + j + 1, (i + 1) * n + j + 1, (i + 1) * n + j]
      const [a, b, c, d] = corners.map((k) => points[k])
      const heights = [a.z, b.z, c.z, d.z]
      if (!heights.every(Number.isFinite) || Math.min(...heights) > RISE) continue
      const [dx, dy] = [b.x - a.x, d.y - a.y]
      const [u, v] = [-(b.z - a.z + c.z - d.z) / (2 * dx), -(d.z - a.z + c.z - b.z) / (2 * dy)]
      const size = Math.hypot(u, v, 1)
      const height = clamp(heights.reduce((s, z) => s + z, 0) / (4 * RISE), 0, 1)
      quads.push({
        corners, height, normal: [u / size, v / size, 1 / size], x: (a.x + c.x) / 2, y: (a.y + c.y) / 2,
        cut: Math.max(...heights) > RISE, sure: corners.every((k) => state[k] > 0),
      })
    }
  }
  return { ...given, peak: lift(given.centre ?? NaN, scale), axis, values, state, n, points, quads, holes, screen: new Float32Array(2 * n * n) }
}

// ---- colours: the tokens of the page, mixed once for each theme

const mix = (a, b, share) => a.map((v, i) => Math.round(v * share + b[i] * (1 - share)))
const rgb = (c) => `rgb(${c.join(",")})`
const paint = (box, tokens) => {
  const probe = document.createElement("span")
  const colour = (token) => {
    probe.style.color = `var(--lab-${token})`
    return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number)
  }
  box.append(probe)
  const named = Object.fromEntries(["bg", "card", "ink", "ink2", "muted", "faint", "line"].map((t) => [t, colour(t)]))
  const dark = named.bg[0] + named.bg[1] + named.bg[2] < 384
  const ramps = {}
  for (const token of new Set(tokens)) {
    const base = colour(token)
    // from the background (0) over the colour (3/4) towards ink (1)
    const step = (i) => (i <= 0.75 ? mix(base, named.bg, i / 0.75) : mix(named.ink, base, (i - 0.75) * 1.2))
    ramps[token] = Array.from({ length: LEVELS + 1 }, (_, i) => rgb(step(i / LEVELS)))
  }
  probe.remove()
  const font = `12px ${getComputedStyle(box).fontFamily}`
  return { dark, ramps, font, ...Object.fromEntries(Object.entries(named).map(([t, c]) => [t, rgb(c)])) }
}

// ---- the camera

const view = (panel, camera) => {
  const a = (camera.turn * Math.PI) / 180
  const e = (camera.tilt * Math.PI) / 180
  const [ca, sa, ce, se] = [Math.cos(a), Math.sin(a), Math.cos(e), Math.sin(e)]
  const s = panel.size * camera.zoom
  const [cx, cy] = [panel.width / 2 + 8, panel.height / 2 + 4]
  return {
    ca, sa, ce, se,
    deep: (x, y) => x * sa - y * ca,
    at: (x, y, z) => [cx + s * (x * ca + y * sa), cy + s * ((x * sa - y * ca) * se - (z - RISE / 2) * ce)],
  }
}

const outline = (panel, quad, eye) => {
  if (!quad.cut) return { flat: quad.corners.map((k) => [panel.screen[2 * k], panel.screen[2 * k + 1]]), edge: [] }
  const [flat, edge] = [[], []]
  quad.corners.forEach((k, i) => {
    const [p, q] = [panel.points[k], panel.points[quad.corners[(i + 1) % 4]]]
    if (p.z <= RISE) flat.push(eye.at(p.x, p.y, p.z))
    if (p.z <= RISE !== q.z <= RISE) {
      const t = (RISE - p.z) / (q.z - p.z)
      const point = eye.at(p.x + t * (q.x - p.x), p.y + t * (q.y - p.y), RISE)
      flat.push(point)
      edge.push(point)
    }
  })
  return { flat, edge }
}

const draw = (panel, first, { paint: c, camera, data, over }) => {
  const { canvas, width, height } = panel
  if (!width) return
  const pen = canvas.getContext("2d")
  const eye = view(panel, camera)
  pen.setTransform(panel.ratio, 0, 0, panel.ratio, 0, 0)
  pen.clearRect(0, 0, width, height)
  pen.globalAlpha = data.pale ? 0.4 : 1
  pen.font = c.font
  pen.lineJoin = "round"
  floor(pen, eye, c)
  if (first) words(pen, eye, c, data, height)
  panel.points.forEach((p, k) => ([panel.screen[2 * k], panel.screen[2 * k + 1]] = eye.at(p.x, p.y, p.z)))
  const ramp = c.ramps[panel.token]
  for (const quad of panel.quads) quad.deep = eye.deep(quad.x, quad.y)
  panel.quads.sort((a, b) => a.deep - b.deep)
  const holes = panel.holes.map((k) => ({ ...panel.points[k], deep: eye.deep(panel.points[k].x, panel.points[k].y) })).sort((a, b) => a.deep - b.deep)
  let next = 0
  const cross = (hole) => {
    const [x, y] = eye.at(hole.x, hole.y, 0)
    pen.strokeStyle = c.ink2
    pen.lineWidth = 1.5
    pen.beginPath()
    for (const d of [-1, 1]) (pen.moveTo(x - 3.5, y - 3.5 * d), pen.lineTo(x + 3.5, y + 3.5 * d))
    pen.stroke()
  }
  for (const quad of panel.quads) {
    while (next < holes.length && holes[next].deep < quad.deep) cross(holes[next++])
    const [u, v, w] = quad.normal
    const [right, near] = [u * eye.ca + v * eye.sa, u * eye.sa - v * eye.ca]
    const inside = near * eye.ce + w * eye.se >= 0 ? 1 : -1
    const lit = inside * (right * LIGHT[0] + near * LIGHT[1] + w * LIGHT[2])
    // paler with height; the side in the light paler still, in the dark theme stronger
    const share = 0.98 - 0.66 * quad.height + (c.dark ? 0.2 : -0.24) * (lit - 0.5)
    const level = clamp(share, 0.26, 1) * 0.75
    const { flat, edge } = outline(panel, quad, eye)
    pen.beginPath()
    flat.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)))
    pen.closePath()
    pen.fillStyle = ramp[Math.round(level * LEVELS)]
    pen.fill()
    // where a corner is only bridged there is a face but no mesh
    pen.strokeStyle = quad.sure ? ramp[Math.round(clamp(level + 0.15, 0, 1) * LEVELS)] : pen.fillStyle
    pen.lineWidth = panel.n > 31 ? 0.5 : 0.7
    pen.stroke()
    if (edge.length === 2) {
      pen.strokeStyle = c.ink
      pen.lineWidth = 1.4
      pen.beginPath()
      pen.moveTo(...edge[0])
      pen.lineTo(...edge[1])
      pen.stroke()
    }
  }
  while (next < holes.length) cross(holes[next++])
  if (Number.isFinite(panel.peak)) {
    const [x, y] = eye.at(0, 0, panel.peak)
    const front = hit(panel, x, y, camera)
    const hidden = front && Math.hypot(front.x, front.y) > 2 / panel.n
    pen.globalAlpha = (data.pale ? 0.4 : 1) * (hidden ? 0.45 : 1)
    dot(pen, x, y, 4.5, c.bg, c.ink, 2)
  }
  pen.globalAlpha = 1
  if (over) marked(pen, panel, eye, c, over, data.digits)
}

const dot = (pen, x, y, radius, fill, stroke, thick) => {
  pen.beginPath()
  pen.arc(x, y, radius, 0, 2 * Math.PI)
  pen.fillStyle = fill
  pen.fill()
  pen.strokeStyle = stroke
  pen.lineWidth = thick
  pen.stroke()
}

const floor = (pen, eye, c) => {
  const path = (points) => points.forEach(([x, y], i) => (i ? pen.lineTo(...eye.at(x, y, 0)) : pen.moveTo(...eye.at(x, y, 0))))
  pen.beginPath()
  path([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
  pen.closePath()
  pen.fillStyle = c.card
  pen.fill()
  for (const t of [-0.25, 0, 0.25]) (path([[t, -0.5], [t, 0.5]]), path([[-0.5, t], [0.5, t]]))
  pen.strokeStyle = c.line
  pen.lineWidth = 1
  pen.stroke()
}

const words = (pen, eye, c, data, low) => {
  // the height axis stands at the corner farthest left, where no surface hides it
  const corners = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]
  const [x, y] = corners.reduce((a, b) => (eye.at(...b, 0)[0] < eye.at(...a, 0)[0] ? b : a))
  const [left, foot] = eye.at(x, y, 0)
  const top = eye.at(x, y, RISE)[1]
  pen.fillStyle = c.muted
  pen.strokeStyle = c.faint
  pen.lineWidth = 1
  if (foot - top > 60) {
    pen.beginPath()
    pen.moveTo(left, foot)
    pen.lineTo(left, top)
    pen.textAlign = "right"
    for (const tick of data.scale.ticks) {
      const ty = eye.at(x, y, lift(tick.at, data.scale))[1]
      pen.moveTo(left - 4, ty)
      pen.lineTo(left, ty)
      pen.fillText(tick.label, left - 7, ty + 4)
    }
    pen.stroke()
    pen.textAlign = "left"
    if (top > 56) pen.fillText(data.scale.title, Math.max(2, left - 16), top - 12)
  }
  // the words stand at the edge of each direction that is nearest to the reader
  const below = 16 * eye.se + 6
  for (const [name, side] of [[data.axes[0], [[0, -0.5], [0, 0.5]]], [data.axes[1], [[-0.5, 0], [0.5, 0]]]]) {
    const [p, q] = side
    const [px, py] = eye.at(...(eye.deep(...p) > eye.deep(...q) ? p : q), 0)
    const cx = eye.at(0, 0, 0)[0]
    pen.textAlign = Math.abs(px - cx) < 12 ? "center" : px < cx ? "right" : "left"
    pen.fillText(name, px + (px < cx ? 10 : -10), Math.min(py + below + 8, low - 5))
  }
}

// ---- the point under the pointer

const inside = (flat, x, y) => {
  let odd = false
  for (let i = 0, j = flat.length - 1; i < flat.length; j = i++) {
    const [[ax, ay], [bx, by]] = [flat[i], flat[j]]
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd
  }
  return odd
}
const hit = (panel, x, y, camera) => {
  const eye = view(panel, camera)
  for (let i = panel.quads.length - 1; i >= 0; i--) if (inside(outline(panel, panel.quads[i], eye).flat, x, y)) return panel.quads[i]
}
const nearest = (panel, x, y, camera) => {
  const quad = hit(panel, x, y, camera)
  if (!quad) return undefined
  const away = (k) => Math.hypot(panel.screen[2 * k] - x, panel.screen[2 * k + 1] - y)
  const known = quad.corners.filter((k) => panel.state[k] === 1 && panel.points[k].z <= RISE)
  if (!known.length) return undefined
  const k = known.reduce((a, b) => (away(b) < away(a) ? b : a))
  return { x: panel.axis[k % panel.n], y: panel.axis[Math.floor(k / panel.n)] }
}
const place = (panel, over) => {
  const find = (v) => panel.axis.findIndex((a) => Math.abs(a - v) < 1e-4)
  const [i, j] = [find(over.y), find(over.x)]
  return i < 0 || j < 0 || !panel.state[i * panel.n + j] ? -1 : i * panel.n + j
}
const value = (v, digits) => minus(v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(digits))
const marked = (pen, panel, eye, c, over, digits) => {
  const k = place(panel, over)
  if (k < 0 || panel.state[k] === DIVERGED) return
  const p = panel.points[k]
  const [x, y] = eye.at(p.x, p.y, Math.min(p.z, RISE))
  pen.strokeStyle = c.ink
  pen.lineWidth = 1
  pen.beginPath()
  pen.moveTo(x, y)
  pen.lineTo(...eye.at(p.x, p.y, 0))
  pen.setLineDash([2, 2])
  pen.stroke()
  pen.setLineDash([])
  dot(pen, x, y, 3.5, c.ink, c.bg, 1.5)
  const text = value(panel.values[k], digits)
  pen.font = c.font.replace("12px", "600 13px")
  const wide = pen.measureText(text).width
  const left = clamp(x - wide / 2, 4, panel.width - wide - 4)
  pen.fillStyle = c.bg
  pen.globalAlpha = 0.85
  pen.fillRect(left - 3, y - 24, wide + 6, 17)
  pen.globalAlpha = 1
  pen.fillStyle = c.ink
  pen.textAlign = "left"
  pen.fillText(text, left, y - 11)
}
