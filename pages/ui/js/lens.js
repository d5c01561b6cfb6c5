// The lens: three pictures, a card and a lane a net, one track.  Answers of all steps come from Python; lens_filter.js, which stands
// before this text, makes the pictures, so a drag asks nobody.  Where it ends is told to Python once.
const LOST = 8000 // ms after which a step that was never answered no longer counts
const WAIT = 250 // ms that a reader pauses before the step is told

const element = (name, className, text = "") => Object.assign(document.createElement(name), { className, textContent: text })
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
const half = (bits) => {
  const [sign, power, part] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  return sign * (power ? 2 ** (power - 15) * (1 + part / 1024) : 2 ** -14 * (part / 1024))
}
const shapes = {
  square: "M2 2h12v12h-12Z",
  circle: "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13Z",
  diamond: "M8 .6L15.4 8L8 15.4L.6 8Z",
  triangle: "M8 1.5L15 14.5H1Z",
  cross: "M6 1h4v5h5v4h-5v5h-4v-5h-5v-4h5Z",
}

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".box")
  if (!box) return
  const last = data.steps.length - 1
  const find = (name) => box.querySelector(name)
  const width = () => data.steps.length

  // ---- built once for an image, a lens and its nets

  const picture = (caption) => {
    const figure = element("figure", "")
    const canvas = Object.assign(document.createElement("canvas"), { width: data.shape[1], height: data.shape[2] })
    canvas.setAttribute("role", "img")
    const frame = element("div", "frame")
    frame.append(canvas)
    figure.append(frame, element("figcaption", "", caption))
    return figure
  }
  const mark = (lane) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
    svg.setAttribute("viewBox", "0 0 16 16")
    svg.setAttribute("aria-hidden", "true")
    path.setAttribute("d", shapes[lane.shape] ?? shapes.square)
    path.style.fill = `var(--lab-${lane.token})`
    svg.append(path)
    return svg
  }
  const card = (lane, number) => {
    const part = element("div", "card")
    part.style.borderColor = `var(--lab-${lane.token})`
    const head = element("div", "head")
    head.append(element("span", "", lane.title))
    if (lane.places) {
      const button = element("button", "", "What speaks for it")
      button.type = "button"
      button.onclick = () => {
        box._over = box._over === number ? -1 : number
        show()
      }
      head.append(button)
    }
    part.append(head, element("b", ""), element("small", ""))
    return part
  }
  const track = (lane) => {
    const row = element("div", "lane")
    const name = element("div", "name")
    name.append(mark(lane), element("b", "", lane.title))
    row.append(name)
    for (const run of lane.runs) {
      const part = element("div", `run ${run.good ? "good" : ""}`)
      part.style.cssText = `left:${(100 * run.from) / width()}%;width:calc(${(100 * (run.to - run.from)) / width()}% - 2px)`
      if (run.good) {
        part.style.background = `var(--lab-${lane.token}-w, var(--lab-wash))`
        part.style.boxShadow = `inset 0 -6px 0 var(--lab-${lane.token})`
      }
      part.append(element("span", "", run.name))
      row.append(part)
      if (run.from) {
        const flip = element("i", "flip")
        flip.style.left = `${(100 * run.from) / width()}%`
        row.append(flip)
      }
    }
    return row
  }
  const build = () => {
    const raw = bytes(data.pixels)
    box._lens = lens({ ...data, pixels: raw })
    box._maps = data.lanes.map((lane) => lane.places && Float32Array.from(new Uint16Array(bytes(lane.places.data).buffer), half))
    box._most = box._maps.map((map) => map && map.reduce((most, value) => Math.max(most, value), 1e-9))
    const figures = ["", "", ""].map(picture)
    figures[1].classList.add("kept")
    find(".pictures").replaceChildren(...figures)
    find(".cards").replaceChildren(...data.lanes.map(card))
    find(".tracks").replaceChildren(...data.lanes.map(track))
    find(".from").textContent = data.ends[0]
    find(".till").textContent = data.ends[1]
    find(".what").textContent = data.what
    find(".ticks").replaceChildren(
      ...data.ticks.map(({ step, label }) => {
        const tick = element("span", "", label)
        tick.style.left = `${(100 * (step + 0.5)) / width()}%`
        return tick
      }),
    )
    find(".plot").setAttribute("aria-valuemax", last)
    find(".plot").setAttribute("aria-label", data.what)
    paint(0, box._lens.whole, 0)
    figures[0].lastChild.textContent = data.captions.whole
    box._drawn = undefined
  }

  // ---- pictures

  const paint = (number, floats, shift, over) => {
    const canvas = find(".pictures").children[number].querySelector("canvas")
    const [channels, side] = data.shape
    const area = side * side
    const shown = new ImageData(side, side)
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) {
        const from = channels === 1 ? 0 : c
        shown.data[4 * i + c] = 255 * (floats[from * area + i] + (shift.length ? shift[from] : shift))
      }
      shown.data[4 * i + 3] = 255
    }
    canvas.getContext("2d").putImageData(shown, 0, 0)
    canvas.parentElement.querySelector("svg")?.remove()
    if (over) canvas.parentElement.append(over)
  }
  // what speaks for a net's answer, in its colour over the picture
  const places = (step) => {
    const map = box._maps[box._over]
    if (!map) return undefined
    const lane = data.lanes[box._over]
    const [, high, wide] = lane.places.shape
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
    svg.setAttribute("viewBox", `0 0 ${wide} ${high}`)
    for (let i = 0; i < high * wide; i++) {
      const share = map[step * high * wide + i] / box._most[box._over]
      if (share <= 0.02) continue
      const spot = document.createElementNS("http://www.w3.org/2000/svg", "rect")
      for (const [name, value] of Object.entries({ x: i % wide, y: Math.floor(i / wide), width: 1, height: 1 })) spot.setAttribute(name, value)
      spot.style.fill = `var(--lab-${lane.token})`
      spot.style.opacity = 0.6 * Math.min(1, share)
      svg.append(spot)
    }
    return svg
  }

  // ---- one step on the screen

  const place = (share) => {
    const at = `${100 * share}%`
    find(".line").style.left = at
    find(".knob").style.left = at
    find(".done").style.width = at
  }
  const show = () => {
    box._frame = 0
    const begun = performance.now()
    const step = box._step
    place(box._held === undefined ? (step + 0.5) / width() : box._held)
    if (box._drawn !== `${step} ${box._over}`) {
      const kept = (box._seen = box._lens.through(data.steps[step]))
      const bright = box._lens.bright(data.steps[step])
      const noise = data.kind === "noise"
      // what has no brightness of its own stands on mid-grey
      paint(1, kept, bright ? 0 : data.mean.map((value) => 0.5 - value), places(step))
      const rest = box._lens.whole.map((value, i) => (noise ? kept[i] - value : value - kept[i]))
      paint(2, rest, noise || bright ? 0.5 : data.mean)
      find(".pictures").children[1].lastChild.textContent = data.captions.kept[step]
      find(".pictures").children[2].lastChild.textContent = data.captions.gone[step]
      find(".value").textContent = data.labels[step]
      const told = data.lanes.map((lane, i) => {
        const part = find(".cards").children[i]
        const answer = lane.steps[step]
        part.children[1].textContent = answer.name
        part.children[2].textContent = answer.said
        part.querySelector("button")?.setAttribute("aria-pressed", String(box._over === i))
        return `${lane.title} ${answer.name}, ${answer.said}`
      })
      const plot = find(".plot")
      plot.setAttribute("aria-valuenow", step)
      plot.setAttribute("aria-valuetext", `${data.labels[step]}: ${told.join("; ")}`)
      const names = [data.captions.whole, data.captions.kept[step], data.captions.gone[step]]
      ;[...find(".pictures").querySelectorAll("canvas")].forEach((canvas, i) => canvas.setAttribute("aria-label", names[i]))
      box._drawn = `${step} ${box._over}`
    }
    box._took = performance.now() - begun
  }

  // ---- what the reader does

  const tell = (wait) => {
    window.clearTimeout(box._timer)
    box._sent = Math.max(box._sent ?? 0, data.n) + 1
    box._when = performance.now()
    box._timer = window.setTimeout(() => setTriggerValue("act", { step: box._step, n: box._sent }), wait)
  }
  const go = (step) => {
    box._step = Math.min(last, Math.max(0, step))
    box._frame ||= window.requestAnimationFrame(() => box._show())
  }
  const snap = () => {
    const next = data.flips.find((step) => step > box._step) ?? data.flips[0]
    if (next === undefined) return
    go(next)
    tell(0)
  }
  const drag = (event) => {
    const room = find(".plot").getBoundingClientRect()
    box._held = Math.min(1, Math.max(0, (event.clientX - room.left) / room.width))
    go(Math.floor(box._held * width()))
  }
  const plot = find(".plot")
  plot.onpointerdown = (event) => {
    if (event.button) return
    window.clearTimeout(box._timer)
    plot.setPointerCapture(event.pointerId)
    drag(event)
  }
  plot.onpointermove = (event) => {
    if (box._held !== undefined) drag(event)
  }
  plot.onpointerup = plot.onpointercancel = plot.onlostpointercapture = () => {
    if (box._held === undefined) return
    box._held = undefined
    go(box._step)
    tell(0)
  }
  plot.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const wide = Math.max(1, Math.round(width() / 10))
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: wide, PageDown: -wide, Home: -last, End: last }
    if (event.key in steps) {
      go(box._step + steps[event.key])
      tell(WAIT)
    } else if (event.key.toLowerCase() === "n") {
      snap()
    } else {
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }

  box._show = show
  if (box._key !== data.key) {
    if (box._key === undefined) box._over = -1
    if (!data.lanes[box._over]?.places) box._over = -1
    Object.assign(box, { _key: data.key, _held: undefined, _step: data.step, _sent: data.n })
    build()
  } else if (box._held === undefined && (data.n >= (box._sent ?? 0) || performance.now() - box._when > LOST)) {
    box._step = data.step
  }
  show()
}
