// The ribbon with bars.  The drawing comes from Python with every unit standing and hollow; a press shows the other at once and
// tells Python the whole list of units that are off.  What Python says later holds, unless the reader has pressed again since.
const LOST = 8000 // ms after which a press that was never answered no longer counts

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".box")
  if (!box) return

  const inside = () => {
    const active = parentElement.activeElement ?? document.activeElement?.shadowRoot?.activeElement
    return Boolean(active && box.contains(active))
  }
  let units = []
  let svg = null

  const show = () => {
    for (const unit of units) {
      const out = box._off.includes(unit.dataset.id)
      unit.classList.toggle("out", out)
      if (!unit.classList.contains("locked")) unit.setAttribute("aria-pressed", String(out))
    }
  }
  const mark = (id, take) => {
    box._focus = id
    for (const unit of units) {
      const on = unit.dataset.id === id
      unit.classList.toggle("focused", on)
      unit.setAttribute("tabindex", on ? "0" : "-1")
      if (on && take) unit.focus()
    }
    if (!units.some((unit) => unit.dataset.id === id)) units[0]?.setAttribute("tabindex", "0")
  }
  const tell = () => {
    window.clearTimeout(box._timer)
    box._sent = Math.max(box._sent ?? 0, data.n) + 1
    box._when = performance.now()
    setTriggerValue("act", { off: box._off, unit: box._focus ?? "", n: box._sent })
  }
  const turn = (off) => {
    box._past = [...(box._past ?? []), box._off].slice(-50)
    box._off = off
    show()
    tell()
  }
  const press = (unit) => {
    mark(unit.dataset.id, true)
    const id = unit.dataset.id
    if (unit.classList.contains("locked")) tell()
    else turn(box._off.includes(id) ? box._off.filter((other) => other !== id) : [...box._off, id])
  }

  const draw = () => {
    const width = Math.round(box.clientWidth)
    if (!width) return
    const drawing = width < 480 ? data.narrow : data.wide
    if (box._svg !== drawing) {
      const had = inside()
      box.innerHTML = drawing // made by pages/ui/bars.py from a parsed net and numbers: no text of a user in it
      box._svg = drawing
      svg = null
      box._had = had
    }
    if (!svg) {
      svg = box.querySelector("svg")
      units = [...svg.querySelectorAll(".unit")]
      for (const unit of units) {
        unit.onfocus = () => {
          if (box._focus !== unit.dataset.id) mark(unit.dataset.id, false)
        }
        unit.onclick = () => press(unit)
      }
      svg.onkeydown = onkey
      show()
      mark(box._focus, Boolean(box._had))
      box._had = false
    }
    const stretch = width / Number(svg.dataset.width)
    svg.setAttribute("width", width)
    svg.setAttribute("viewBox", `0 0 ${width} ${svg.getAttribute("height")}`)
    for (const part of svg.querySelectorAll(".at")) part.transform.baseVal[0].setTranslate(Number(part.dataset.x) * stretch, 0)
    for (const line of svg.querySelectorAll(".span")) {
      line.setAttribute("x1", Number(line.dataset.x1) * stretch)
      line.setAttribute("x2", Number(line.dataset.x2) * stretch)
    }
  }

  const onkey = (event) => {
    const at = units.findIndex((unit) => unit.dataset.id === box._focus)
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -units.length, End: units.length }
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey
    if (event.key in steps && plain) {
      const next = Math.min(units.length - 1, Math.max(0, at + steps[event.key]))
      mark(units[next].dataset.id, true)
      window.clearTimeout(box._timer)
      box._timer = window.setTimeout(tell, 250)
    } else if (plain && at >= 0 && [" ", "Enter", "l", "L"].includes(event.key)) {
      if (!event.repeat) press(units[at])
    } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      const before = box._past?.pop()
      if (before) {
        box._off = before
        show()
        tell()
      }
    } else {
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }

  if (box._net !== data.net) Object.assign(box, { _net: data.net, _past: [], _off: data.off, _focus: data.focus, _sent: data.n })
  box.classList.toggle("pale", data.pale)
  if (data.n >= (box._sent ?? 0) || performance.now() - box._when > LOST) {
    const now = box._off ?? data.off
    if (now.length !== data.off.length || now.some((id) => !data.off.includes(id))) box._past = [...(box._past ?? []), now].slice(-50)
    box._off = data.off
    box._focus = data.focus
  }
  draw()
  show()
  mark(box._focus, inside())
  box._watch?.disconnect()
  box._watch = new ResizeObserver(draw)
  box._watch.observe(box)

  return () => box._watch?.disconnect()
}
