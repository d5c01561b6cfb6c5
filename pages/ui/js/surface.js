// Linked surfaces: one canvas a net, one camera, one height scale.  Python sends heights as they were measured; surface_scene.js, which
// stands before this text, draws them.  The camera belongs to the reader: it stays where it was when new heights arrive.
const HOME = { turn: 38, tilt: 35 } // degrees
const TURN = 6
const PHONE = 640
const shapes = {
  square: "M1.5 1.5h13v13h-13Z",
  circle: "M8 1a7 7 0 1 1 0 14a7 7 0 1 1 0-14Z",
  diamond: "M8 .6L15.4 8L8 15.4L.6 8Z",
  triangle: "M8 1.5L15 14.5H1Z",
  cross: "M6 1h4v5h5v4h-5v5h-4v-5h-5v-4h5Z",
}

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".box")
  if (!box) return
  const [group, pick, say] = [".panels", ".switch", ".say"].map((name) => box.querySelector(name))
  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches
  box._camera ??= { ...HOME, zoom: 1 }
  box._aim ??= { ...box._camera }

  const tell = () => {
    if (!box._over) {
      say.textContent = data.help
      return
    }
    const told = panels.map((panel) => {
      const k = place(panel, box._over)
      return `${panel.title} ${k < 0 ? "not measured" : panel.state[k] === DIVERGED ? "diverged" : value(panel.values[k], data.digits)}`
    })
    say.textContent = `x ${minus(box._over.x.toFixed(2))}, y ${minus(box._over.y.toFixed(2))}: ${told.join(" · ")}`
  }

  // the one thing that is ever told to Python, and only while somebody there waits for it: that the surfaces were turned
  if (!data.tell) box._told = false
  const turned = () => {
    if (!data.tell || box._told) return
    box._told = true
    setTriggerValue("turned", true)
  }

  // ---- one frame for all panels

  const frame = () => {
    box._frame = 0
    const begun = performance.now()
    const [camera, aim] = [box._camera, box._aim]
    let moving = false
    for (const key of ["turn", "tilt", "zoom"]) {
      const rest = aim[key] - camera[key]
      const far = Math.abs(rest) > (key === "zoom" ? 0.004 : 0.2)
      camera[key] = far && box._ease ? camera[key] + 0.35 * rest : aim[key]
      moving ||= far && box._ease
    }
    if (!moving && !box._held) aim.turn = camera.turn = ((((camera.turn + 180) % 360) + 360) % 360) - 180
    const shown = panels.filter((panel) => !panel.figure.hidden)
    shown.forEach((panel, i) => draw(panel, i === 0, { paint: box._paint, camera: box._camera, over: box._over, data }))
    box._took = performance.now() - begun
    if (moving) again()
  }
  const again = () => {
    box._frame ||= window.requestAnimationFrame(() => box._redraw())
  }
  const aim = (change, ease) => {
    const now = { ...box._aim, ...change }
    box._ease = ease && !still()
    box._aim = { turn: now.turn, tilt: clamp(now.tilt, 8, 90), zoom: clamp(now.zoom, 0.7, 3) }
    again()
  }

  const fit = () => {
    box.style.maxWidth = panels.length === 1 ? "640px" : ""
    const wide = box.clientWidth
    if (!wide) return
    const phone = wide < PHONE && panels.length > 1
    const one = Math.min(box._shown ?? 0, panels.length - 1)
    const across = phone || panels.length === 1 ? 1 : panels.length === 4 ? 2 : panels.length
    group.style.gridTemplateColumns = `repeat(${across},minmax(0,1fr))`
    pick.hidden = !phone
    group.classList.toggle("alone", phone)
    const ratio = Math.min(3, window.devicePixelRatio || 1)
    const room = Math.floor((wide - 24 * (across - 1)) / across)
    const width = Math.min(room, 640)
    const size = Math.min((width - 54) / Math.SQRT2, 215)
    const height = Math.round(size * 1.76 + 18)
    panels.forEach((panel, i) => {
      panel.figure.hidden = phone && i !== one
      Object.assign(panel, { width, height, size, ratio })
      const { canvas } = panel
      const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)]
      if (canvas.width !== w || canvas.height !== h) {
        Object.assign(canvas, { width: w, height: h })
        canvas.style.cssText = `width:${width}px;height:${height}px`
      }
    })
    ;[...pick.children].forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === one))
      button.tabIndex = i === one ? 0 : -1
    })
    box._redraw()
  }

  // ---- the page's elements: made once, filled anew

  const mark = (panel) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
    svg.setAttribute("viewBox", "0 0 16 16")
    svg.setAttribute("aria-hidden", "true")
    path.setAttribute("d", shapes[panel.shape] ?? shapes.square)
    path.style.fill = `var(--lab-${panel.token})`
    svg.append(path)
    return svg
  }
  const element = (name, text, className = "") => Object.assign(document.createElement(name), { textContent: text, className })

  while (group.children.length > data.panels.length) group.lastChild.remove()
  while (group.children.length < data.panels.length) {
    const figure = document.createElement("figure")
    figure.append(document.createElement("figcaption"), document.createElement("canvas"))
    group.append(figure)
  }
  const panels = data.panels.map((given, i) => {
    const figure = group.children[i]
    figure.firstChild.replaceChildren(mark(given), element("b", given.title), element("small", given.sub))
    return { ...prepare(given, data.scale), figure, canvas: figure.lastChild }
  })
  pick.replaceChildren(
    ...data.panels.map((given, i) => {
      const button = element("button", given.title)
      button.type = "button"
      button.setAttribute("role", "radio")
      button.prepend(mark(given))
      button.onclick = () => {
        box._shown = i
        fit()
      }
      button.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
        if (!step) return
        event.preventDefault()
        event.stopPropagation()
        const next = pick.children[(i + step + panels.length) % panels.length]
        next.click()
        next.focus()
      }
      return button
    }),
  )
  group.setAttribute("aria-label", data.said)
  box._redraw = frame

  group.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const { turn, tilt, zoom } = box._aim
    const moves = {
      ArrowLeft: { turn: turn - TURN }, ArrowRight: { turn: turn + TURN }, ArrowUp: { tilt: tilt + TURN }, ArrowDown: { tilt: tilt - TURN },
      "+": { zoom: zoom * 1.15 }, "=": { zoom: zoom * 1.15 }, "-": { zoom: zoom / 1.15 },
      Home: { ...HOME, zoom: 1 }, r: { ...HOME, zoom: 1 }, R: { ...HOME, zoom: 1 },
    }
    const change = moves[event.key]
    if (!change) return
    aim(change, true)
    turned()
    event.preventDefault()
    event.stopPropagation()
  }
  group.onpointerdown = (event) => {
    if (event.button || !event.target.getContext) return
    box._held = { x: event.clientX, y: event.clientY, ...box._camera }
    event.target.setPointerCapture(event.pointerId)
    box._over = undefined
  }
  group.onpointermove = (event) => {
    const held = box._held
    if (held) {
      aim({ turn: held.turn + 0.45 * (event.clientX - held.x), tilt: held.tilt + 0.35 * (event.clientY - held.y) }, false)
      return
    }
    const panel = panels.find((p) => p.canvas === event.target)
    const before = JSON.stringify(box._over)
    box._over = panel && event.pointerType !== "touch" ? nearest(panel, event.offsetX, event.offsetY, box._camera) : undefined
    if (JSON.stringify(box._over) === before) return
    tell()
    again()
  }
  group.onpointerup = group.onpointercancel = group.onlostpointercapture = () => {
    const held = box._held
    box._held = undefined
    if (held && (held.turn !== box._aim.turn || held.tilt !== box._aim.tilt)) turned()
  }
  group.onpointerleave = () => {
    if (box._held || box._over === undefined) return
    box._over = undefined
    tell()
    again()
  }
  // the page keeps its wheel; a pinch on a touchpad, which comes as Ctrl and wheel, zooms once the picture has the focus
  group.onwheel = (event) => {
    if (!event.ctrlKey || parentElement.activeElement !== group) return
    event.preventDefault()
    aim({ zoom: box._aim.zoom * Math.exp(-event.deltaY / 200) }, false)
  }

  const dress = () => {
    box._paint = paint(box, data.panels.map((panel) => panel.token))
  }
  tell()
  dress()
  fit()
  // another theme, or the page's style that arrives after this: the canvas cannot follow CSS by itself, an element that does tells it
  box.ontransitionend = (event) => {
    if (event.target.className !== "theme") return
    dress()
    again()
  }
  box._watch?.disconnect()
  box._watch = new ResizeObserver(fit)
  box._watch.observe(box)

  return () => box._watch?.disconnect()
}
